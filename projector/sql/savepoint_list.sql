SELECT name, offsets, taken_at, taken_by FROM memferry.savepoint
WHERE projection = %s ORDER BY taken_at, name
