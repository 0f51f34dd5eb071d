SELECT id, at, actor, action, before, after, chain FROM memferry.trail ORDER BY id
