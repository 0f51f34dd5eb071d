DELETE FROM {table} AS live USING {stage} AS stage
WHERE stage.memferry_op = 4 AND {match}
