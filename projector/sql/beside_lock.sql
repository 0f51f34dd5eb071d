SELECT FROM memferry.beside WHERE name = %s FOR UPDATE
