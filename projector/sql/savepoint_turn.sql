-- One copies tables for a savepoint, or clears away what a kill left of one.
SELECT pg_try_advisory_lock(hashtextextended('memferry savepoint ' || %s, 0))
