SELECT pg_total_relation_size(%s::regclass)
