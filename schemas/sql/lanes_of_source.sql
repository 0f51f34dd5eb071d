SELECT partition, seq FROM memferry.lane
WHERE projection = %s AND source = %s AND generation = %s
