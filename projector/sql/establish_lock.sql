-- Two processes that establish the same tables at once would collide on the catalog.
SELECT pg_advisory_xact_lock(hashtextextended('memferry establish', 0))
