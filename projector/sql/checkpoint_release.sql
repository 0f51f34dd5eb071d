-- End whoever keeps a checkpoint's row locked: its transaction is rolled back.
SELECT pg_terminate_backend(a.pid)
FROM memferry.checkpoint AS c JOIN pg_stat_activity AS a ON a.backend_xid = c.xmax
WHERE c.projection = %s AND a.pid <> pg_backend_pid()
