-- The last entry that both have a number for: whether it is the same.
SELECT r.chain = t.chain
FROM pg_temp.restored_trail AS r JOIN memferry.trail AS t ON t.id = r.id
ORDER BY r.id DESC LIMIT 1
