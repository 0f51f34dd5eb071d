INSERT INTO memferry.mend (topic, generation, decision, source, partition, at_offset, mend)
VALUES (%(topic)s, %(generation)s, %(decision)s, %(source)s, %(partition)s, %(at)s, %(mend)s)
ON CONFLICT (topic, decision) DO NOTHING
