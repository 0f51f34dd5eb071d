SELECT name, offsets FROM memferry.savepoint
WHERE projection = %s AND dropped_at IS NULL ORDER BY taken_at
