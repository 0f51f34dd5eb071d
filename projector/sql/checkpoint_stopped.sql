SELECT partition, next_offset, stopped FROM memferry.checkpoint
WHERE projection = %s AND stopped <> '' ORDER BY partition
