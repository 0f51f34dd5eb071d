INSERT INTO memferry.memory_request (id, projection, source, state)
VALUES (%(id)s, %(projection)s, %(source)s, 'asked')
