INSERT INTO memferry.projection (name, schema_name, topic, generation, partitions, state)
SELECT %(spare)s, %(spare)s, topic, generation, partitions, state
FROM memferry.projection WHERE name = %(projection)s
