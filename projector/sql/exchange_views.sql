-- Whoever waits for a table within a view has the view already, and reads the table it names: so
-- views come first, each before those that it reads.
SELECT c.relname FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE n.nspname = %s AND c.relkind = 'v' ORDER BY c.oid DESC
