-- Each stream that waits: how many events, since when, and what is wrong with the first.
SELECT s.stream, s.partition, s.events, s.first, s.since, f.type, f.reason, f.place
FROM (
    SELECT projection, stream, partition, count(*) AS events, min(record_offset) AS first,
        min(parked_at) AS since
    FROM memferry.parked
    WHERE projection = %s
    GROUP BY projection, stream, partition
) AS s
JOIN memferry.parked AS f ON f.projection = s.projection AND f.partition = s.partition
    AND f.record_offset = s.first
ORDER BY s.since, s.partition, s.first
