SELECT question FROM memferry.request WHERE id = %s
