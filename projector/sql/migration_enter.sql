-- Compare-and-set on the term: a run whose migration was taken over enters nothing more.
WITH entered AS (
    UPDATE memferry.migration SET phase = %(phase)s
    WHERE id = %(id)s AND term = %(term)s AND state = 'running'
    RETURNING id, projection
), noted AS (
    INSERT INTO memferry.migration_phase (migration, number, phase, entered_at)
    SELECT e.id, 1 + coalesce((SELECT max(p.number) FROM memferry.migration_phase AS p
        WHERE p.migration = e.id), 0), %(phase)s, clock_timestamp()
    FROM entered AS e
    RETURNING number
)
SELECT number, pg_notify('memferry_migration', %(id)s::text) FROM noted
