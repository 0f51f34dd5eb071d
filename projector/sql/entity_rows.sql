SELECT {columns} FROM {table} AS t
JOIN unnest({keys}) AS wanted ({names}) ON {match}
