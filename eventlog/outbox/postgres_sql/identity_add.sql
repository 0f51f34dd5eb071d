INSERT INTO {schema}.identity (format, content) VALUES (%s, %s)
