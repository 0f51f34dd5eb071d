INSERT INTO memferry.source (name, topic, generation, partitions, opened_at)
VALUES (%(source)s, %(topic)s, %(generation)s, %(partitions)s, %(at)s)
ON CONFLICT (topic, name) DO NOTHING
