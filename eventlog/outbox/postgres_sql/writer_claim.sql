UPDATE {schema}.identity SET writer = writer + 1, holder = %s RETURNING writer, last_row
