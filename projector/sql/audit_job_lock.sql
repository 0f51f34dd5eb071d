SELECT pg_try_advisory_lock(hashtextextended('memferry audit job ' || %s, 0))
