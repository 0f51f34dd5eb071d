-- The rising term is the fence: whoever claimed before can no longer move a checkpoint.
UPDATE memferry.checkpoint AS c
SET term = c.term + 1, holder = %(holder)s, stopped = '', updated_at = now()
FROM memferry.projection AS p
WHERE c.projection = %(projection)s AND p.name = c.projection AND p.state = %(state)s
RETURNING c.partition, c.term, c.next_offset, c.tail
