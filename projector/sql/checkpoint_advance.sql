-- Compare-and-set on (term, next offset) for each partition of the batch; lanes only rise.
-- First in the transaction: it locks the rows, so a zombie fails before it touches a table.
WITH moved AS (
    UPDATE memferry.checkpoint AS c SET next_offset = n.new_offset, tail = n.tail,
        updated_at = now()
    FROM unnest(%(partitions)s::int[], %(terms)s::bigint[], %(old)s::bigint[], %(new)s::bigint[],
        %(tails)s::text[]) AS n (partition, term, old_offset, new_offset, tail)
    WHERE c.projection = %(projection)s AND c.partition = n.partition
        AND c.term = n.term AND c.next_offset = n.old_offset
    RETURNING c.partition
), lanes AS (
    INSERT INTO memferry.lane AS l
        (projection, source, generation, partition, seq, digest, epoch)
    SELECT %(projection)s, n.source, %(generation)s, n.partition, n.seq, n.digest, n.epoch
    FROM unnest(%(lane_sources)s::text[], %(lane_partitions)s::int[], %(lane_seqs)s::bigint[],
        %(lane_digests)s::text[], %(lane_epochs)s::bigint[])
        AS n (source, partition, seq, digest, epoch)
    ON CONFLICT (projection, source, generation, partition)
    DO UPDATE SET seq = excluded.seq, digest = excluded.digest, epoch = excluded.epoch
    WHERE l.seq < excluded.seq
    RETURNING l.partition
)
SELECT (SELECT count(*) FROM moved), (SELECT count(*) FROM lanes),
    pg_notify('memferry_applied', %(projection)s)
