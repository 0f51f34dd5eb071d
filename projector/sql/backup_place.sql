-- Checkpoint, lanes, what was parked and the code that made the rows, as they were.
WITH checkpoints AS (
    UPDATE memferry.checkpoint AS c SET term = r.term, next_offset = r.next_offset, tail = r.tail
    FROM pg_temp.restored_checkpoint AS r
    WHERE c.projection = %(to)s AND r.projection = %(of)s AND c.partition = r.partition
), lanes AS (
    INSERT INTO memferry.lane (projection, source, generation, partition, seq, digest, epoch)
    SELECT %(to)s, source, generation, partition, seq, digest, epoch
    FROM pg_temp.restored_lane WHERE projection = %(of)s
), parked AS (
    INSERT INTO memferry.parked (projection, partition, record_offset, source, generation, seq,
        stream, type, event, behind, reason, place, parked_at)
    SELECT %(to)s, partition, record_offset, source, generation, seq, stream, type, event, behind,
        reason, place, parked_at
    FROM pg_temp.restored_parked WHERE projection = %(of)s
), codes AS (
    INSERT INTO memferry.fingerprint (projection, kind, fingerprint, parts)
    SELECT %(to)s, kind, fingerprint, parts
    FROM pg_temp.restored_fingerprint WHERE projection = %(of)s
)
UPDATE memferry.projection SET voids = %(voids)s WHERE name = %(to)s
