UPDATE {table} AS live SET {assignments}
FROM {stage} AS stage
WHERE stage.memferry_op = 2 AND {match}
