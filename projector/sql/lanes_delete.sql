DELETE FROM memferry.lane WHERE projection = %s
