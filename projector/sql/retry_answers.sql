SELECT id::text, state, detail, answer FROM memferry.request WHERE id = ANY (%s)
