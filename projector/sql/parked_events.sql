SELECT partition, record_offset, source, generation, seq, stream, type, behind, reason, place,
    parked_at, event
FROM memferry.parked
WHERE projection = %(projection)s
    AND (stream = %(stream)s
        OR (record_offset = %(offset)s AND coalesce(partition = %(partition)s, true)))
ORDER BY partition, record_offset
LIMIT %(limit)s
