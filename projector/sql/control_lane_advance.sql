INSERT INTO memferry.control_lane (topic, source, seq, digest, epoch) VALUES (%s, %s, %s, %s, %s)
ON CONFLICT (topic, source)
DO UPDATE SET seq = excluded.seq, digest = excluded.digest, epoch = excluded.epoch
