-- Until the transaction ends no rollback begins with them.
SELECT name FROM memferry.beside
WHERE projection = %s AND purpose = 'savepoint' AND savepoint = %s FOR UPDATE
