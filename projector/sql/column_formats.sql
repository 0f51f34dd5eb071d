SELECT a.attname, format_type(a.atttypid, a.atttypmod)
FROM pg_attribute AS a
WHERE a.attrelid = format('%%I.%%I', %s::text, %s::text)::regclass
    AND a.attnum > 0 AND NOT a.attisdropped
