-- Above every epoch that a lane of the topic has, also where this row is older than the lanes.
INSERT INTO memferry.epoch AS e (topic, epoch)
SELECT %(topic)s, coalesce(max(l.epoch), 1) + 1
FROM memferry.lane AS l JOIN memferry.projection AS p ON p.name = l.projection
WHERE p.topic = %(topic)s
ON CONFLICT (topic) DO UPDATE SET epoch = greatest(e.epoch + 1, excluded.epoch)
RETURNING epoch
