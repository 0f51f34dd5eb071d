INSERT INTO memferry.beside (name, projection, purpose, savepoint, run)
VALUES (%(name)s, %(projection)s, %(purpose)s, %(savepoint)s, %(run)s)
