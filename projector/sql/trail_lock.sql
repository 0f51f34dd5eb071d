SELECT pg_advisory_xact_lock(hashtextextended('memferry trail', 0))
