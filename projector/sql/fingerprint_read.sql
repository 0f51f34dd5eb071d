SELECT kind, parts FROM memferry.fingerprint WHERE projection = %s
