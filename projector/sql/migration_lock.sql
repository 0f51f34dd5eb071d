SELECT pg_try_advisory_lock(hashtextextended('memferry migration ' || %s, 0))
