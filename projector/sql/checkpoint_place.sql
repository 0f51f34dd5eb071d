SELECT next_offset, stopped FROM memferry.checkpoint WHERE projection = %s AND partition = %s
