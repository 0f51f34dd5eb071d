SELECT source, restored_at IS NOT NULL FROM memferry.void WHERE topic = %s AND id = %s
