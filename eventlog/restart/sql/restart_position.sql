SELECT partition, next_offset FROM memferry.checkpoint WHERE projection = %s
