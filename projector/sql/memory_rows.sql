SELECT partition, table_name, key, digest, row_text FROM memferry.memory_row WHERE request = %s
