-- How far one source's lanes are in the tables, whether anything moves them on, and whether any of
-- their events is parked.
SELECT c.partition, coalesce(l.seq, 0), p.state, p.reason, c.stopped,
    EXISTS (SELECT FROM memferry.parked AS k WHERE k.projection = %(projection)s)
FROM memferry.projection AS p
JOIN memferry.checkpoint AS c ON c.projection = p.name
LEFT JOIN memferry.lane AS l ON l.projection = p.name AND l.partition = c.partition
    AND l.source = %(source)s AND l.generation = %(generation)s
WHERE p.name = %(projection)s
