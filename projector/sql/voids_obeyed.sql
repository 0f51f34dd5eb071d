SELECT voids FROM memferry.projection WHERE name = %s
