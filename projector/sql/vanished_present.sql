-- A key that is there already, if any: what was inserted and deleted again found no place.
SELECT {key} FROM {stage} AS stage
WHERE stage.memferry_op = 6 AND EXISTS (SELECT FROM {table} AS live WHERE {match})
LIMIT 1
