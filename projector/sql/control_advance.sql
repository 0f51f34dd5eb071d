INSERT INTO memferry.control_checkpoint (topic, next_offset) VALUES (%s, %s)
ON CONFLICT (topic) DO UPDATE SET next_offset = excluded.next_offset
