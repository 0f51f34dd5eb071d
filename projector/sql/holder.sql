SELECT holder, updated_at FROM memferry.checkpoint WHERE projection = %s AND holder <> ''
ORDER BY updated_at DESC LIMIT 1
