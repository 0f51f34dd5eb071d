UPDATE memferry.source SET retired_at = %(at)s WHERE name = %(source)s
