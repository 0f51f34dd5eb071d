SELECT pg_try_advisory_lock(hashtextextended('memferry projection ' || %s, 0))
