-- What projectors are asked to apply again, in these partitions, in the order of the log.
SELECT r.id, r.question
FROM memferry.request AS r
LEFT JOIN LATERAL (
    SELECT min(k.record_offset) AS record_offset FROM memferry.parked AS k
    WHERE k.projection = r.projection AND k.stream = r.question ->> 'stream'
) AS first ON true
WHERE r.projection = %s AND r.kind = 'retry' AND r.state = 'asked'
    AND (r.question ->> 'partition')::int = ANY (%s)
ORDER BY first.record_offset, r.asked_at, r.id
