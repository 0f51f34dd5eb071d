UPDATE memferry.migration_phase AS p
SET left_at = clock_timestamp(), outcome = %(outcome)s, detail = %(detail)s
FROM memferry.migration AS m
WHERE m.id = %(id)s AND m.term = %(term)s AND p.migration = m.id AND p.left_at IS NULL
RETURNING p.number
