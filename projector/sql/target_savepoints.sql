-- A savepoint that was dropped is none any more.
SELECT name, generation, offsets FROM memferry.savepoint
WHERE projection = %s AND dropped_at IS NULL ORDER BY taken_at, name
