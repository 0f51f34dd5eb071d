SELECT state, detail FROM memferry.memory_request WHERE id = %s
