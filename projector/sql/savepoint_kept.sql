UPDATE memferry.savepoint SET kept = true WHERE projection = %s AND name = %s
