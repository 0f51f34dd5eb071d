SELECT {columns} FROM {table}
WHERE ({key}) IN (SELECT {key} FROM {first} WHERE {condition} ORDER BY {order} LIMIT %s)
