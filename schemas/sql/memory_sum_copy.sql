COPY memferry.memory_sum (request, partition, table_name, bucket, stream, row_count, digest)
FROM STDIN
