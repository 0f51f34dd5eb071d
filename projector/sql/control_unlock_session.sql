SELECT pg_advisory_unlock(hashtextextended('memferry control ' || %s, 0))
