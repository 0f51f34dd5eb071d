SELECT kind, type, data FROM memferry.memory_line WHERE request = %s ORDER BY number
