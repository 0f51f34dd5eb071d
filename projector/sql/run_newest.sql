-- The one that runs, else the last.
SELECT id::text, projection, kind, state, step, plan, detail, holder, started_at, ended_at
FROM memferry.replay WHERE projection = %s
ORDER BY state = 'running' DESC, started_at DESC LIMIT 1
