-- Both sides are read as they were before.
WITH moved AS (
    UPDATE memferry.projection AS p SET voids = o.voids, since = now(),
        state = CASE WHEN p.name = %(live)s THEN %(state)s ELSE 'held' END,
        reason = CASE WHEN p.name = %(live)s THEN %(reason)s ELSE 'swapped' END
    FROM memferry.projection AS o
    WHERE (p.name = %(live)s AND o.name = %(beside)s) OR (p.name = %(beside)s AND o.name = %(live)s)
    RETURNING p.name, o.state
)
UPDATE memferry.beside AS b
SET purpose = 'swapped', savepoint = '', run = NULL, made_at = now(), was = moved.state
FROM moved WHERE b.name = %(beside)s AND moved.name = %(beside)s
