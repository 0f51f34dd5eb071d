INSERT INTO memferry.replay (id, projection, kind, state, step, plan, holder)
VALUES (%(id)s, %(projection)s, %(kind)s, 'running', %(step)s, %(plan)s, %(holder)s)
