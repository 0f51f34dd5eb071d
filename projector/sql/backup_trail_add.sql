-- Verbatim: their chain goes on from the entries that are there.
INSERT INTO memferry.trail (id, at, actor, action, before, after, chain)
SELECT id, at, actor, action, before, after, chain FROM pg_temp.restored_trail
WHERE id > (SELECT coalesce(max(id), 0) FROM memferry.trail)
