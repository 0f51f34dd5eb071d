-- Whether streams of a kind wait behind parked events, how many, and one of them: the tables lack
-- what came since.
SELECT min(stream), count(DISTINCT stream) FROM memferry.parked
WHERE projection = %(projection)s AND starts_with(stream, %(kind)s)
HAVING count(*) > 0
