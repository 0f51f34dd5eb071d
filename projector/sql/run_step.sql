UPDATE memferry.replay SET step = %(step)s WHERE id = %(id)s AND state = 'running'
