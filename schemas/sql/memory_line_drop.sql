DELETE FROM memferry.memory_line WHERE request = %s
