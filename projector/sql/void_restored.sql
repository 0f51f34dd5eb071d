UPDATE memferry.void SET restored_at = %(at)s, restored_by = %(actor)s
WHERE topic = %(topic)s AND id = %(id)s AND source = %(source)s AND restored_at IS NULL
