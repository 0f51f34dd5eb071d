CREATE TABLE {partition} PARTITION OF {table} {bound}
