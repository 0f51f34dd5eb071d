SELECT seq, event FROM memferry.decision WHERE topic = %s ORDER BY seq DESC LIMIT 1
