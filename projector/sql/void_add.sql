INSERT INTO memferry.void (topic, id, source, void, voided_at, actor, reason)
VALUES (%(topic)s, %(id)s, %(source)s, %(void)s, %(at)s, %(actor)s, %(reason)s)
ON CONFLICT (topic, id, source) DO NOTHING
