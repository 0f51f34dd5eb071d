-- Of a table that is being filled: nobody is to wait for what reads it.
DROP INDEX IF EXISTS {index}
