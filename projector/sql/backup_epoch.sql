SELECT coalesce((SELECT epoch FROM memferry.epoch WHERE topic = %s), 1)
