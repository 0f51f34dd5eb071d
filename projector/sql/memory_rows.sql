SELECT partition, table_name, key, digest FROM memferry.memory_row WHERE request = %s
