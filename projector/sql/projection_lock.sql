SELECT name, topic, generation, partitions, state, reason FROM memferry.projection
WHERE name = %s FOR UPDATE
