WITH failed AS (
    UPDATE memferry.request SET state = 'failed', detail = %(detail)s WHERE id = %(id)s
)
SELECT pg_notify('memferry_answer', %(id)s::text)
