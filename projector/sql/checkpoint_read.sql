SELECT partition, next_offset, stopped, holder, updated_at, term FROM memferry.checkpoint
WHERE projection = %s ORDER BY partition
