-- Each parked stream: how many of its events are at or behind a position, and how many before it.
SELECT p.stream, count(*) FILTER (WHERE p.record_offset >= cut.next_offset),
    count(*) FILTER (WHERE p.record_offset < cut.next_offset)
FROM memferry.parked AS p
JOIN unnest(%(partitions)s::int[], %(offsets)s::bigint[]) AS cut (partition, next_offset)
    USING (partition)
WHERE p.projection = %(projection)s
    AND (cardinality(%(streams)s::text[]) = 0 OR p.stream = ANY(%(streams)s::text[]))
GROUP BY p.stream
ORDER BY min(p.record_offset), p.stream
