INSERT INTO memferry.audit (id, projection, kind, holder, started_at)
VALUES (%(id)s, %(projection)s, %(kind)s, %(holder)s, %(started_at)s) ON CONFLICT DO NOTHING
