SELECT partition, next_offset, tail, stopped FROM memferry.checkpoint
WHERE projection = %s ORDER BY partition
