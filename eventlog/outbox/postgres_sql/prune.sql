-- Up to the first event of a data lane that is not applied, and no further than Kafka has; the
-- control lane stays: a restart reads it.
WITH applied AS (
    SELECT * FROM unnest(%(partitions)s::int[], %(seqs)s::bigint[]) AS a (partition, seq)
), unsafe AS (
    SELECT first.number
    FROM {schema}.lane AS l LEFT JOIN applied AS a USING (partition)
    CROSS JOIN LATERAL (
        SELECT e.number FROM {schema}.event AS e
        WHERE e.partition = l.partition AND e.seq > coalesce(a.seq, 0) ORDER BY e.seq LIMIT 1
    ) AS first
    WHERE l.partition <> %(control)s
)
DELETE FROM {schema}.event WHERE number IN (
    SELECT number FROM {schema}.event
    WHERE number <= least(%(sent)s, (SELECT min(number) - 1 FROM unsafe))
        AND partition <> %(control)s
    ORDER BY number LIMIT %(limit)s
)
