SELECT phase, entered_at, left_at, outcome, detail FROM memferry.migration_phase
WHERE migration = %s ORDER BY number
