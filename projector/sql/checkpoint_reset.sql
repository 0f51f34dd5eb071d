-- The rising term fences the projector that had the partitions.
UPDATE memferry.checkpoint
SET term = term + 1, next_offset = 0, tail = '', stopped = '', updated_at = now()
WHERE projection = %s
