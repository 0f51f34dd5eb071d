UPDATE memferry.projection SET state = %(state)s, reason = %(reason)s, since = now()
WHERE name = %(name)s
