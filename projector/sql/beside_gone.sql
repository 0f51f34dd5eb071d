-- Tables beside whose schema is not there: this database was brought back from a backup.
DELETE FROM memferry.projection AS p USING memferry.beside AS b
WHERE p.name = b.name AND b.projection = %(name)s
    AND NOT EXISTS (SELECT FROM pg_namespace WHERE nspname = b.name)
