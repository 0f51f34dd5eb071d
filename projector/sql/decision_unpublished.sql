SELECT seq, event FROM memferry.decision WHERE topic = %s AND NOT published ORDER BY seq
