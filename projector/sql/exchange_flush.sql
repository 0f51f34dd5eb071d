-- A commit that waits for the disk has all before it on the disk, too.
SELECT pg_logical_emit_message(true, 'memferry', 'swapped')
