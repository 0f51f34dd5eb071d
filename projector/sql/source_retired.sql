UPDATE memferry.source SET retired_at = %(at)s WHERE topic = %(topic)s AND name = %(source)s
