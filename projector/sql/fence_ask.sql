-- The lease of this row begins here, before anybody is told: it ends before any writer's own.
WITH asked AS (
    INSERT INTO memferry.fence
        (id, projection, purpose, epoch, lease_ms, subject, state, asked_at, lease_until)
    SELECT %(fence)s, %(projection)s, %(purpose)s, %(epoch)s, %(lease_ms)s, %(subject)s,
        'asked', t,
        t + make_interval(secs => %(lease_ms)s / 1000.0)
    FROM clock_timestamp() AS t
)
SELECT pg_notify('memferry_fence', %(projection)s)
