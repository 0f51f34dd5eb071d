SELECT id, chain FROM memferry.trail ORDER BY id DESC LIMIT 1
