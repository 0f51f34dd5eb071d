COPY memferry.memory_row (request, partition, table_name, key, digest, row_text) FROM STDIN
