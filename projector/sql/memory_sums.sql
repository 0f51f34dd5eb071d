SELECT partition, table_name, bucket, stream, row_count, digest FROM memferry.memory_sum
WHERE request = %s
