SELECT DISTINCT stream, partition FROM memferry.parked WHERE projection = %s AND partition = ANY(%s)
