UPDATE memferry.source SET snapshot_at = coalesce(snapshot_at, %(at)s) WHERE topic = %(topic)s AND name = %(source)s
