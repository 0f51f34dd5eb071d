SELECT {key} FROM {stage} AS stage
WHERE stage.memferry_op IN (2, 3)
    AND NOT EXISTS (SELECT FROM {table} AS live WHERE {match})
LIMIT 1
