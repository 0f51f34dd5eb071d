-- One of several projectors takes what is due; the lock ends with the connection.
SELECT pg_try_advisory_lock(hashtextextended('memferry scheduled savepoints ' || %s, 0))
