SELECT kind, fingerprint FROM memferry.fingerprint WHERE projection = %s
