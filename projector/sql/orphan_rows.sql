SELECT {key}, count(*) OVER () FROM {table} AS t
WHERE NOT EXISTS (SELECT FROM {first} AS wanted WHERE {match})
LIMIT 5
