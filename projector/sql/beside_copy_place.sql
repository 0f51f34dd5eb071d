-- Checkpoint, lanes, what is parked, and the code that made the rows: all of one snapshot.
WITH checkpoints AS (
    INSERT INTO memferry.checkpoint (projection, partition, term, next_offset, tail)
    SELECT %(to)s, partition, term, next_offset, tail FROM memferry.checkpoint
    WHERE projection = %(of)s
    RETURNING partition, next_offset
), lanes AS (
    INSERT INTO memferry.lane (projection, source, generation, partition, seq, digest, epoch)
    SELECT %(to)s, source, generation, partition, seq, digest, epoch FROM memferry.lane
    WHERE projection = %(of)s
), parked AS (
    INSERT INTO memferry.parked (projection, partition, record_offset, source, generation, seq,
        stream, type, event, behind, reason, place, parked_at)
    SELECT %(to)s, partition, record_offset, source, generation, seq, stream, type, event, behind,
        reason, place, parked_at
    FROM memferry.parked WHERE projection = %(of)s
), codes AS (
    INSERT INTO memferry.fingerprint (projection, kind, fingerprint, parts)
    SELECT %(to)s, kind, fingerprint, parts FROM memferry.fingerprint WHERE projection = %(of)s
), obeyed AS (
    UPDATE memferry.projection AS p SET voids = o.voids FROM memferry.projection AS o
    WHERE p.name = %(to)s AND o.name = %(of)s
)
SELECT partition, next_offset FROM checkpoints
