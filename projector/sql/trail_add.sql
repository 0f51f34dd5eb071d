INSERT INTO memferry.trail (id, at, actor, action, before, after, chain)
VALUES (%(id)s, %(at)s, %(actor)s, %(action)s, %(before)s, %(after)s, %(chain)s)
