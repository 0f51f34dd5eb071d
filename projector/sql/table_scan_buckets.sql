SELECT {columns} FROM {table} WHERE {bucket} = ANY(%s)
