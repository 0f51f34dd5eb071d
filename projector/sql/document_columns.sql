SELECT attname FROM pg_attribute
WHERE attrelid = to_regclass(format('%%I.%%I', %s::text, %s::text))
    AND atttypid IN ('json'::regtype, 'jsonb'::regtype) AND attnum > 0 AND NOT attisdropped
