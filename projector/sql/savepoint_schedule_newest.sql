-- Also one that was dropped: it was taken.
SELECT taken_at, offsets FROM memferry.savepoint
WHERE projection = %s AND purpose = %s ORDER BY taken_at DESC LIMIT 1
