UPDATE memferry.fence SET state = 'released', ended_at = clock_timestamp()
WHERE id = %s AND state = 'asked'
RETURNING id
