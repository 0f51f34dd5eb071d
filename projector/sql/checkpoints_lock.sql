-- In one order, as claims and commits do.
SELECT partition FROM memferry.checkpoint WHERE projection = %s ORDER BY partition FOR UPDATE
