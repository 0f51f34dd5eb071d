SELECT coalesce((SELECT next_offset FROM memferry.control_checkpoint WHERE topic = %s), 0)
