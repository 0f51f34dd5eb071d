-- Decisions behind the newest one that is known here, in order.
SELECT seq, event FROM pg_temp.restored_decision
WHERE topic = %(topic)s
    AND seq > (SELECT coalesce(max(seq), 0) FROM memferry.decision WHERE topic = %(topic)s)
ORDER BY seq
