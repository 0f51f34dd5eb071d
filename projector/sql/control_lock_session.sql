-- The same lock as control_lock's, kept over several transactions.
SELECT pg_advisory_lock(hashtextextended('memferry control ' || %s, 0))
