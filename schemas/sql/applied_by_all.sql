-- How far each lane of a source is in the tables of every projection of its topic that is not held.
SELECT c.partition, min(coalesce(l.seq, 0))
FROM memferry.projection AS p
JOIN memferry.checkpoint AS c ON c.projection = p.name
LEFT JOIN memferry.lane AS l ON l.projection = p.name AND l.partition = c.partition
    AND l.source = %(source)s AND l.generation = %(generation)s
WHERE p.topic = %(topic)s AND p.generation = %(generation)s AND p.state <> 'held'
GROUP BY c.partition
