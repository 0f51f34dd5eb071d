-- When an audit was last begun that came to its end, and when one was last clean.
SELECT max(started_at), max(ended_at) FILTER (WHERE verdict = 'clean')
FROM memferry.audit
WHERE projection = %s AND kind = 'audit' AND verdict IN ('clean', 'findings', 'error')
