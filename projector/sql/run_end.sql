UPDATE memferry.replay SET state = %(state)s, detail = %(detail)s, ended_at = now()
WHERE id = %(id)s AND state = 'running'
