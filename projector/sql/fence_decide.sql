-- The one compare-and-set: every source caught up, and the lease not over.
UPDATE memferry.fence AS f SET state = 'decided', ended_at = clock_timestamp()
WHERE f.id = %(fence)s AND f.state = 'asked' AND clock_timestamp() < f.lease_until
    AND NOT EXISTS (
        SELECT FROM unnest(%(sources)s::text[]) AS wanted (source)
        WHERE NOT EXISTS (
            SELECT FROM memferry.fence_source AS s
            WHERE s.fence = f.id AND s.source = wanted.source AND s.state = 'caught_up'
        )
    )
RETURNING f.epoch
