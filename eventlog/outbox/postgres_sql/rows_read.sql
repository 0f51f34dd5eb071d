-- At most so many rows, together smaller than so many bytes, or one.
SELECT number, partition, seq, stream, event
FROM (
    SELECT *, sum(octet_length(event)) OVER (ORDER BY number) AS size,
        min(number) OVER () AS first
    FROM (
        SELECT * FROM {schema}.event WHERE number > %(after)s ORDER BY number LIMIT %(limit)s
    ) AS chunk
) AS measured
WHERE size <= %(bytes)s OR number = first
ORDER BY number
