UPDATE memferry.parked AS p SET behind = n.behind, reason = n.reason, place = n.place
FROM unnest(%(offset)s::bigint[], %(behind)s::boolean[], %(reason)s::text[], %(place)s::text[])
    AS n (record_offset, behind, reason, place)
WHERE p.projection = %(projection)s AND p.partition = %(partition)s
    AND p.record_offset = n.record_offset
