DELETE FROM memferry.projection WHERE name = %(spare)s
