DELETE FROM memferry.memory_request WHERE id = %s
