UPDATE memferry.source SET snapshot_at = coalesce(snapshot_at, %(at)s) WHERE name = %(source)s
