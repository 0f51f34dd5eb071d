INSERT INTO memferry.parked (projection, partition, record_offset, source, generation, seq, stream,
    type, event, behind, reason, place)
SELECT %(projection)s, n.partition, n.record_offset, n.source, %(generation)s, n.seq, n.stream,
    n.type, n.event, n.behind, n.reason, n.place
FROM unnest(%(partition)s::int[], %(offset)s::bigint[], %(source)s::text[], %(seq)s::bigint[],
    %(stream)s::text[], %(type)s::text[], %(event)s::bytea[], %(behind)s::boolean[],
    %(reason)s::text[], %(place)s::text[])
    AS n (partition, record_offset, source, seq, stream, type, event, behind, reason, place)
