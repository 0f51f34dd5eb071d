SELECT s.source, s.state, s.detail, s.heads, s.pause_ms
FROM memferry.fence_source AS s
WHERE s.fence = (
    SELECT id FROM memferry.fence WHERE subject = %s ORDER BY asked_at DESC LIMIT 1
)
