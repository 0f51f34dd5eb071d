-- One test restore at a time: they have one scratch database a database.
SELECT pg_advisory_lock(hashtextextended('memferry backup verify', 0))
