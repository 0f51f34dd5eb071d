INSERT INTO memferry.projection (name, schema_name, topic, generation, partitions, state)
VALUES (%(name)s, %(name)s, %(topic)s, %(generation)s, %(partitions)s, 'live')
ON CONFLICT (name) DO NOTHING
RETURNING name
