DELETE FROM {table} AS live USING {stage} AS stage
WHERE stage.memferry_op IN (3, 4) AND {match}
