WITH kept AS (
    UPDATE memferry.beside SET purpose = %(purpose)s, savepoint = %(savepoint)s, run = NULL
    WHERE name = %(name)s RETURNING name, purpose
)
UPDATE memferry.projection AS p SET state = 'held', reason = kept.purpose, since = now()
FROM kept WHERE p.name = kept.name
