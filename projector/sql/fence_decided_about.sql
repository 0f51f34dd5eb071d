SELECT count(*) FROM memferry.fence WHERE subject = %s AND state = 'decided'
