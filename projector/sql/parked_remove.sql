-- Whoever waits for these events is told.
WITH removed AS (
    DELETE FROM memferry.parked
    WHERE projection = %(projection)s AND partition = %(partition)s
        AND record_offset = ANY(%(offsets)s)
)
SELECT pg_notify('memferry_applied', %(projection)s)
