SELECT id FROM memferry.request WHERE id = ANY(%s)
