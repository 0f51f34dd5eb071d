INSERT INTO memferry.decision (topic, seq, event, published) VALUES (%s, %s, %s, %s)
ON CONFLICT (topic, seq) DO UPDATE SET published = excluded.published OR memferry.decision.published
