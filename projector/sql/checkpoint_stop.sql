UPDATE memferry.checkpoint SET stopped = %(reason)s, updated_at = now()
WHERE projection = %(projection)s AND partition = %(partition)s AND term = %(term)s
