-- Tables that are kept at a savepoint, with their position.
SELECT b.name, c.partition, c.next_offset
FROM memferry.beside AS b
JOIN memferry.projection AS p ON p.name = b.name AND p.state = 'held'
JOIN memferry.savepoint AS s
    ON s.projection = b.projection AND s.name = b.savepoint AND s.dropped_at IS NULL
JOIN memferry.checkpoint AS c ON c.projection = b.name
WHERE b.projection = %s AND b.purpose = 'savepoint'
