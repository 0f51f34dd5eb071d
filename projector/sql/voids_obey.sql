-- Whoever reads on by the voids as they were before can commit no more: the term rises.
WITH obeying AS (
    UPDATE memferry.projection SET voids = %(voids)s WHERE name = %(projection)s
), fenced AS (
    UPDATE memferry.checkpoint SET term = term + 1 WHERE projection = %(projection)s
)
SELECT pg_notify('memferry_projection', %(projection)s)
