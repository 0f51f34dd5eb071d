SELECT id FROM memferry.memory_request
WHERE projection = %s AND source = %s AND state = 'asked'
ORDER BY asked_at
