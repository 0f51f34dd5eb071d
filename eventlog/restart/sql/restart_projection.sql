SELECT topic, generation, partitions FROM memferry.projection WHERE name = %s
