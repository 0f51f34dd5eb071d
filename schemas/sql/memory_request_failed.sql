UPDATE memferry.memory_request SET state = 'failed', detail = %s WHERE id = %s
