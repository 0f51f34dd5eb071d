SELECT pg_notify('memferry_fence', %s)
