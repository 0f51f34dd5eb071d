DELETE FROM memferry.fingerprint WHERE projection = %s
