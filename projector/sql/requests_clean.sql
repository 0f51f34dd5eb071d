DELETE FROM memferry.request
WHERE projection = %s AND asked_at < clock_timestamp() - interval '10 minutes'
