-- A run makes further what stands beside: it is no savepoint's any more.
WITH taken AS (
    UPDATE memferry.beside SET purpose = 'shadow', run = %(run)s
    WHERE name = %(name)s RETURNING name
)
UPDATE memferry.projection AS p SET state = 'rebuilding', reason = 'shadow', since = now()
FROM taken WHERE p.name = taken.name
