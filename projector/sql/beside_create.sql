INSERT INTO memferry.projection
    (name, schema_name, topic, generation, partitions, state, reason, voids)
SELECT %(name)s, %(name)s, topic, generation, partitions, %(state)s, %(reason)s, '[]'
FROM memferry.projection WHERE name = %(projection)s
