SELECT mend::text FROM memferry.mend WHERE topic = %s ORDER BY decision
