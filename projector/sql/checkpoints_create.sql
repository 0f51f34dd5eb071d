INSERT INTO memferry.checkpoint (projection, partition, term, next_offset)
SELECT %(name)s, partition, 0, 0 FROM generate_series(0, %(partitions)s - 1) AS partition
