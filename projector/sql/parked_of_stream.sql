SELECT record_offset, event FROM memferry.parked
WHERE projection = %s AND partition = %s AND stream = %s ORDER BY record_offset FOR UPDATE
