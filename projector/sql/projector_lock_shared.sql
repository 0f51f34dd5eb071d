SELECT pg_advisory_lock_shared(hashtextextended('memferry projection ' || %s, 0))
