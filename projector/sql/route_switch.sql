-- A later decision is never replaced by an earlier one that is read again.
WITH switched AS (
    INSERT INTO memferry.route (projection, route, epoch, decision, since, decided_by)
    VALUES (%(projection)s, %(route)s, %(epoch)s, %(decision)s, %(at)s, %(actor)s)
    ON CONFLICT (projection) DO UPDATE
    SET route = excluded.route, epoch = excluded.epoch, decision = excluded.decision,
        since = excluded.since, decided_by = excluded.decided_by
    WHERE route.decision < excluded.decision
)
SELECT pg_notify('memferry_route', %(projection)s)
