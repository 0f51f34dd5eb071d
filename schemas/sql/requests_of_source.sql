-- `working`: its answer was cut short, for whoever reads this answers one request at a time.
SELECT id, kind FROM memferry.request
WHERE projection = %s AND source = %s AND state IN ('asked', 'working')
ORDER BY asked_at
