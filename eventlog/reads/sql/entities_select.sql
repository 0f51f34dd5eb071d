SELECT {columns} FROM {table} WHERE {condition} ORDER BY {order} LIMIT %s
