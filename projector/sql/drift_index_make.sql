CREATE {unique} INDEX CONCURRENTLY {name} ON {table} {definition}
