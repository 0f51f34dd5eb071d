WITH stopped AS (
    UPDATE memferry.checkpoint SET stopped = %(reason)s, updated_at = now()
    WHERE projection = %(projection)s AND partition = %(partition)s AND term = %(term)s
)
SELECT pg_notify('memferry_projection', %(projection)s)
