INSERT INTO memferry.epoch (topic, epoch) VALUES (%(topic)s, %(epoch)s)
ON CONFLICT (topic) DO UPDATE SET epoch = greatest(memferry.epoch.epoch, excluded.epoch)
