-- How far each lane of a source is in the tables of every projection of its topic that is not held.
-- Tables beside a projection's are filled from the log: what they lack holds nobody back.
SELECT c.partition, min(coalesce(l.seq, 0))
FROM memferry.projection AS p
JOIN memferry.checkpoint AS c ON c.projection = p.name
LEFT JOIN memferry.lane AS l ON l.projection = p.name AND l.partition = c.partition
    AND l.source = %(source)s AND l.generation = %(generation)s
WHERE p.topic = %(topic)s AND p.generation = %(generation)s AND p.state <> 'held'
    AND NOT EXISTS (SELECT FROM memferry.beside AS b WHERE b.name = p.name)
GROUP BY c.partition
