INSERT INTO memferry.savepoint
    (name, projection, generation, offsets, taken_at, taken_by, purpose, note)
VALUES (%(name)s, %(projection)s, %(generation)s, %(offsets)s, %(at)s, %(actor)s, %(purpose)s,
    %(note)s)
ON CONFLICT (projection, name) DO NOTHING
RETURNING name
