WITH followed AS (
    INSERT INTO memferry.route_source (projection, source, decision)
    VALUES (%(projection)s, %(source)s, %(decision)s)
    ON CONFLICT (projection, source) DO UPDATE SET decision = excluded.decision
)
SELECT pg_notify('memferry_fence_answer', %(projection)s)
