SELECT attname FROM pg_catalog.pg_attribute
WHERE attrelid = %s::regclass AND attnum > 0 AND attcollation <> 0
