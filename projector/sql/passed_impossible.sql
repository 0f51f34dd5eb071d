-- Rows as they were between two events of a batch: events apart would have written them.
WITH passed AS (
    SELECT {columns} FROM {stage} AS stage WHERE stage.memferry_op = 7
    UNION ALL
    SELECT {patched} FROM {stage} AS stage JOIN {table} AS live ON {match}
    WHERE stage.memferry_op = 8
)
SELECT CASE {rule} END, {key} FROM passed WHERE {broken} LIMIT 1
