SELECT table_name, bucket, row_count, high, low FROM memferry.kept_digest
WHERE projection = %s
