-- Compare-and-set: a fence that was decided stays decided.
WITH aborted AS (
    UPDATE memferry.fence
    SET state = 'aborted', reason = %(reason)s, ended_at = clock_timestamp()
    WHERE id = %(fence)s AND state = 'asked'
    RETURNING id, projection
)
SELECT id::text, pg_notify('memferry_fence', projection) FROM aborted
