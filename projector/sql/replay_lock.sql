SELECT pg_try_advisory_lock(hashtextextended('memferry replay ' || %s, 0))
