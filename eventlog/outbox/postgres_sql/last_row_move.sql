-- Compare-and-set; the row's lock is held until the commit, so appends commit in their order.
UPDATE {schema}.identity SET last_row = %(new)s WHERE writer = %(writer)s AND last_row = %(old)s
