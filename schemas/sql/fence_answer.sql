WITH answered AS (
    INSERT INTO memferry.fence_source (fence, source, state, detail, heads, counting, sums)
    VALUES (%(fence)s, %(source)s, %(state)s, %(detail)s, %(heads)s, %(counting)s, %(sums)s)
    ON CONFLICT (fence, source) DO UPDATE
    SET state = excluded.state, detail = excluded.detail,
        heads = coalesce(excluded.heads, fence_source.heads),
        counting = excluded.counting, sums = coalesce(excluded.sums, fence_source.sums)
)
SELECT pg_notify('memferry_fence_answer', %(fence)s::text)
