-- Whether this claim still holds: the lock keeps it so until the transaction ends.
SELECT FROM memferry.checkpoint
WHERE projection = %s AND partition = %s AND term = %s AND next_offset = %s FOR UPDATE
