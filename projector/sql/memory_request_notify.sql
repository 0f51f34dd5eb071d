SELECT pg_notify('memferry_memory', %s)
