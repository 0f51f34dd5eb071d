SELECT count(*), count(DISTINCT stream) FROM memferry.parked WHERE projection = %s
