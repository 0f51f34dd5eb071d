SELECT id, kind, holder, started_at, ended_at, verdict, position, findings, rows, score, seconds,
    error
FROM memferry.audit WHERE projection = %s ORDER BY started_at DESC LIMIT %s
