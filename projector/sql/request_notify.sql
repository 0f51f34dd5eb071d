SELECT pg_notify('memferry_request', %s)
