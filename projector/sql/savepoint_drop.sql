-- The row stays: its name is used.
UPDATE memferry.savepoint SET dropped_at = %(at)s
WHERE projection = %(projection)s AND name = %(name)s AND dropped_at IS NULL
RETURNING name
