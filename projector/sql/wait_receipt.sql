-- The event's lane: how far it is, whether its source is known, and whether it was put aside.
SELECT p.state, p.reason, coalesce(l.seq >= %(seq)s, false), c.stopped, s.name IS NOT NULL, (
    SELECT k.reason FROM memferry.parked AS k
    WHERE k.projection = p.name AND k.generation = p.generation AND k.partition = c.partition
        AND k.source = %(source)s AND k.seq = %(seq)s
)
FROM memferry.projection AS p
JOIN memferry.checkpoint AS c ON c.projection = p.name AND c.partition = %(partition)s
LEFT JOIN memferry.lane AS l ON l.projection = p.name AND l.generation = p.generation
    AND l.partition = c.partition AND l.source = %(source)s
LEFT JOIN memferry.source AS s ON s.topic = p.topic AND s.name = %(source)s
WHERE p.name = %(projection)s
