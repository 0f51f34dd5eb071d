INSERT INTO {schema}.lane (partition, seq, digest, epoch)
SELECT * FROM unnest(%s::int[], %s::bigint[], %s::text[], %s::bigint[])
ON CONFLICT (partition)
DO UPDATE SET seq = excluded.seq, digest = excluded.digest, epoch = excluded.epoch
