UPDATE memferry.migration SET term = term + 1, holder = %(holder)s
WHERE id = %(id)s AND state = 'running'
RETURNING term
