SELECT pg_notify('memferry_projection', %s)
