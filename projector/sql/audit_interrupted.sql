-- Audits that were begun and whose process is gone: nobody holds their mark.
WITH begun AS MATERIALIZED (
    SELECT id FROM memferry.audit
    WHERE projection = %s AND verdict IS NULL FOR UPDATE SKIP LOCKED
), dead AS MATERIALIZED (
    SELECT id FROM begun
    WHERE pg_try_advisory_xact_lock(hashtextextended('memferry audit ' || id, 0))
)
UPDATE memferry.audit AS a
SET verdict = 'interrupted', ended_at = now(), error = 'its process ended in the middle'
FROM dead WHERE a.id = dead.id
RETURNING a.id, a.started_at, a.holder
