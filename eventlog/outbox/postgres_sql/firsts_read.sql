SELECT l.partition, coalesce(
    (SELECT min(e.seq) FROM {schema}.event AS e WHERE e.partition = l.partition), l.seq + 1
)
FROM {schema}.lane AS l
