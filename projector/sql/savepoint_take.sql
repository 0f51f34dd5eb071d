INSERT INTO memferry.savepoint (name, projection, generation, offsets, taken_at, taken_by)
VALUES (%(name)s, %(projection)s, %(generation)s, %(offsets)s, %(at)s, %(actor)s)
ON CONFLICT (projection, name) DO NOTHING
RETURNING name
