SELECT source, partition, seq, digest, epoch FROM memferry.lane
WHERE projection = %s AND generation = %s AND partition = ANY (%s)
