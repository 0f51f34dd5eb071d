-- What a writer must know: the fences that are asked for, and how those ended that it holds.
SELECT id::text, purpose, epoch, lease_ms, state, renewals,
    extract(epoch FROM lease_until - clock_timestamp())::double precision, subject
FROM memferry.fence
WHERE projection = %(projection)s AND (state = 'asked' OR id = ANY (%(held)s::uuid[]))
ORDER BY asked_at
