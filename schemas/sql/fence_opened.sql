WITH opened AS (
    UPDATE memferry.fence_source SET state = 'opened', pause_ms = %(pause_ms)s
    WHERE fence = %(fence)s AND source = %(source)s
)
SELECT pg_notify('memferry_fence_answer', %(fence)s::text)
