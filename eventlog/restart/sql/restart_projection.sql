SELECT topic, generation, partitions, voids FROM memferry.projection WHERE name = %s
