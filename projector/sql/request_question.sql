UPDATE memferry.request SET question = %(question)s WHERE id = %(id)s
