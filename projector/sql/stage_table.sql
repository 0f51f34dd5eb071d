DROP TABLE IF EXISTS {stage};
-- No NOT NULL and no key, as CREATE TABLE AS leaves them behind: a patch fills some columns only.
CREATE TEMPORARY TABLE {stage} ON COMMIT DELETE ROWS AS
SELECT *, 0::smallint AS memferry_op, ''::varbit AS memferry_mask FROM {table} WITH NO DATA
