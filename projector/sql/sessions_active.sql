-- Others' sessions at work on this server, and those of which this role may not know it.
SELECT count(*) FILTER (WHERE state = 'active' AND backend_type = 'client backend'),
    count(*) FILTER (WHERE query = '<insufficient privilege>' AND datid IS NOT NULL)
FROM pg_stat_activity WHERE pid <> pg_backend_pid()
