-- The first parked event of each of a source's streams: from there on the whole stream waits.
-- It takes time by the streams, however many events wait in them.
WITH RECURSIVE streams AS (
    SELECT min(stream) AS stream FROM memferry.parked WHERE projection = %(projection)s
    UNION ALL
    SELECT (
        SELECT min(k.stream) FROM memferry.parked AS k
        WHERE k.projection = %(projection)s AND k.stream > s.stream
    )
    FROM streams AS s WHERE s.stream IS NOT NULL
)
SELECT first.stream, first.partition, first.seq, first.type, first.reason, first.place
FROM streams AS s, LATERAL (
    SELECT k.* FROM memferry.parked AS k
    WHERE k.projection = %(projection)s AND k.stream = s.stream
        AND k.source = %(source)s AND k.generation = %(generation)s
    ORDER BY k.record_offset
    LIMIT 1
) AS first
