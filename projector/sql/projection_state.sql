WITH changed AS (
    UPDATE memferry.projection SET state = %(state)s, reason = %(reason)s, since = now()
    WHERE name = %(name)s
)
SELECT pg_notify('memferry_projection', %(name)s)
