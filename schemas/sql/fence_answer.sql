WITH answered AS (
    INSERT INTO memferry.fence_source (fence, source, state, detail, heads)
    VALUES (%(fence)s, %(source)s, %(state)s, %(detail)s, %(heads)s)
    ON CONFLICT (fence, source) DO UPDATE
    SET state = excluded.state, detail = excluded.detail,
        heads = coalesce(excluded.heads, fence_source.heads)
)
SELECT pg_notify('memferry_fence_answer', %(fence)s::text)
