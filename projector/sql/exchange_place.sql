-- Locked in one order: no projector of these tables commits until the caller's transaction ends.
SELECT partition, next_offset, term FROM memferry.checkpoint
WHERE projection = %s ORDER BY partition FOR UPDATE
