WITH renewed AS (
    UPDATE memferry.fence
    SET lease_until = clock_timestamp() + make_interval(secs => lease_ms / 1000.0),
        renewals = renewals + 1
    WHERE id = %s AND state = 'asked' AND clock_timestamp() < lease_until
    RETURNING projection
)
SELECT pg_notify('memferry_fence', projection) FROM renewed
