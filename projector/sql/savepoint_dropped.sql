SELECT dropped_at FROM memferry.savepoint WHERE projection = %s AND name = %s
