SELECT b.name, b.projection, b.purpose, b.savepoint, b.run::text, b.made_at, p.state, b.was
FROM memferry.beside AS b JOIN memferry.projection AS p ON p.name = b.name
WHERE b.projection = %s ORDER BY b.made_at, b.name
