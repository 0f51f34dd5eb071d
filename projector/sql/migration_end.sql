UPDATE memferry.migration SET state = %(state)s, reason = %(reason)s, ended_at = clock_timestamp()
WHERE id = %(id)s AND term = %(term)s AND state = 'running'
RETURNING id
