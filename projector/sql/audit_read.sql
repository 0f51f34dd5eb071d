SELECT id, report FROM memferry.audit
WHERE projection = %s AND starts_with(id::text, %s) LIMIT 2
