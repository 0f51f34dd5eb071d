SELECT id::text, purpose, epoch, reason FROM memferry.fence
WHERE projection = %s AND (state = 'asked' OR state = 'aborted' AND NOT noted)
ORDER BY asked_at
