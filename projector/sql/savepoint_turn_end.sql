SELECT pg_advisory_unlock(hashtextextended('memferry savepoint ' || %s, 0))
