DELETE FROM memferry.parked WHERE projection = %s AND partition = %s AND record_offset = ANY(%s)
