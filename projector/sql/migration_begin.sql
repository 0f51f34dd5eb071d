INSERT INTO memferry.migration (id, projection, mode, state, phase, holder)
VALUES (%(id)s, %(projection)s, %(mode)s, 'running', %(phase)s, %(holder)s)
