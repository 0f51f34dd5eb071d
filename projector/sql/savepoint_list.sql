SELECT s.name, s.offsets, s.taken_at, s.taken_by, s.purpose, s.note,
    CASE WHEN b.name IS NOT NULL THEN 'kept' WHEN s.kept THEN 'used' ELSE '' END
FROM memferry.savepoint AS s
LEFT JOIN memferry.beside AS b
    ON b.projection = s.projection AND b.purpose = 'savepoint' AND b.savepoint = s.name
WHERE s.projection = %s AND s.dropped_at IS NULL ORDER BY s.taken_at, s.name
