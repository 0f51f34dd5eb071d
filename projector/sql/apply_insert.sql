INSERT INTO {table} ({columns})
SELECT {columns} FROM {stage} WHERE memferry_op = 0
