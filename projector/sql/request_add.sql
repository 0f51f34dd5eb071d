INSERT INTO memferry.request (id, projection, source, kind, state)
VALUES (%(id)s, %(projection)s, %(source)s, %(kind)s, 'asked')
