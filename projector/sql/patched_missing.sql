SELECT {key} FROM {stage} AS stage
WHERE stage.memferry_op = 2
    AND NOT EXISTS (SELECT FROM {table} AS live WHERE {match})
LIMIT 1
