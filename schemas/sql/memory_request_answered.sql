UPDATE memferry.memory_request SET state = 'answered' WHERE id = %s
