SELECT savepoint FROM memferry.beside WHERE name = %s
