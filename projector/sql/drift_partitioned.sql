SELECT EXISTS (
    SELECT FROM pg_catalog.pg_class AS c
    WHERE c.relnamespace = (SELECT oid FROM pg_catalog.pg_namespace WHERE nspname = %(schema)s)
        AND c.relname = %(table)s AND c.relkind = 'p'
)
