-- Held for as long as the audit is under way: it goes with its process, so that another one knows.
SELECT pg_advisory_lock(hashtextextended('memferry audit ' || %s, 0))
