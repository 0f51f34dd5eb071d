-- On the table alone: its partitions come one by one, each without holding up writes.
CREATE {unique} INDEX IF NOT EXISTS {name} ON ONLY {table} {definition}
