-- The rising term is the fence: whoever claimed before can no longer move a checkpoint.
-- Locked in one order first, so that two claims cannot each wait for the other.
WITH mine AS (
    SELECT c.partition FROM memferry.checkpoint AS c
    WHERE c.projection = %(projection)s
        AND (%(partitions)s::int[] IS NULL OR c.partition = ANY (%(partitions)s::int[]))
    ORDER BY c.partition FOR UPDATE
)
UPDATE memferry.checkpoint AS c
SET term = c.term + 1, holder = %(holder)s, stopped = '', updated_at = now()
FROM memferry.projection AS p, mine
WHERE c.projection = %(projection)s AND c.partition = mine.partition AND p.name = c.projection
    AND p.state = %(state)s
RETURNING c.partition, c.term, c.next_offset, c.tail
