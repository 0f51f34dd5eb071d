DELETE FROM memferry.kept_digest WHERE projection = %s
