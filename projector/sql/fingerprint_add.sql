INSERT INTO memferry.fingerprint AS f (projection, kind, fingerprint, parts) VALUES (%s, %s, %s, %s)
ON CONFLICT (projection, kind)
DO UPDATE SET fingerprint = excluded.fingerprint, parts = excluded.parts
WHERE f.fingerprint <> excluded.fingerprint
