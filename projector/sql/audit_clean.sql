DELETE FROM memferry.audit
WHERE projection = %s AND started_at < now() - make_interval(days => %s)
