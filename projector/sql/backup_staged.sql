-- What a control table held at the backup; gone with the transaction.
CREATE TEMP TABLE {staged} (LIKE memferry.{table} INCLUDING DEFAULTS) ON COMMIT DROP
