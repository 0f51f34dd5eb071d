SELECT m.id::text, m.mode, m.state, m.phase, m.term, m.holder, m.reason, m.started_at, m.ended_at,
    coalesce((SELECT max(p.entered_at) FROM memferry.migration_phase AS p
        WHERE p.migration = m.id), m.started_at)
FROM memferry.migration AS m
WHERE m.projection = %s
ORDER BY m.state = 'running' DESC, m.started_at DESC
LIMIT 1
