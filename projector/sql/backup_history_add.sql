-- What the projection's past was, where it is not there; nothing of it runs any more.
WITH migrations AS (
    INSERT INTO memferry.migration (id, projection, mode, state, phase, term, holder, reason,
        started_at, ended_at)
    SELECT id, projection, mode, CASE state WHEN 'running' THEN 'undone' ELSE state END, phase,
        term, holder, CASE state WHEN 'running' THEN 'restored from a backup' ELSE reason END,
        started_at, coalesce(ended_at, now())
    FROM pg_temp.restored_migration WHERE projection = %(projection)s
    ON CONFLICT DO NOTHING RETURNING id
), replays AS (
    INSERT INTO memferry.replay (id, projection, kind, state, step, plan, detail, holder,
        started_at, ended_at)
    SELECT id, projection, kind, CASE state WHEN 'running' THEN 'undone' ELSE state END, step,
        plan, CASE state WHEN 'running' THEN 'restored from a backup' ELSE detail END, holder,
        started_at, coalesce(ended_at, now())
    FROM pg_temp.restored_replay WHERE projection = %(projection)s
    ON CONFLICT DO NOTHING
), audits AS (
    INSERT INTO memferry.audit
    SELECT * FROM pg_temp.restored_audit WHERE projection = %(projection)s
    ON CONFLICT DO NOTHING
)
INSERT INTO memferry.migration_phase (migration, number, phase, entered_at, left_at, outcome, detail)
SELECT p.migration, p.number, p.phase, p.entered_at, p.left_at, p.outcome, p.detail
FROM pg_temp.restored_migration_phase AS p JOIN migrations AS m ON m.id = p.migration
