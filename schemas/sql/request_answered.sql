WITH answered AS (
    UPDATE memferry.request SET state = %(state)s, answer = %(answer)s WHERE id = %(id)s
)
SELECT pg_notify('memferry_answer', %(id)s::text)
