INSERT INTO {schema}.command (number, id, content, events) VALUES (%s, %s, %s, %s)
