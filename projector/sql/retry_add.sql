INSERT INTO memferry.request (id, projection, source, kind, state, question)
VALUES (%(id)s, %(projection)s, '', 'retry', 'asked', %(question)s)
