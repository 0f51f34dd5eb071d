DELETE FROM memferry.request WHERE id = ANY (%s)
