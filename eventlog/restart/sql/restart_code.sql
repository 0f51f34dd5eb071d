-- What a kind's rows were made with.
SELECT parts FROM memferry.fingerprint WHERE projection = %s AND kind = %s
