-- Adds up rows as they are stored, old and new, whoever changes them.
CREATE OR REPLACE FUNCTION {function}() RETURNS trigger LANGUAGE plpgsql
SECURITY DEFINER SET search_path = pg_catalog AS $memferry$
BEGIN
    IF TG_OP = 'TRUNCATE' THEN
        INSERT INTO memferry.kept_digest (projection, table_name, bucket, row_count, high, low)
        VALUES ({projection}, {name}, -1, 1, 0, 0) ON CONFLICT DO NOTHING;
        RETURN NULL;
    END IF;
    IF TG_OP IN ('INSERT', 'UPDATE') THEN
        INSERT INTO memferry.kept_digest AS k
            (projection, table_name, bucket, row_count, high, low)
        SELECT {projection}, {name}, bucket, count(*), sum(substr(hash, 1, 8)::int8),
            sum(substr(hash, 9, 8)::int8)
        FROM (SELECT {bucket} AS bucket, {hash} AS hash FROM new_rows OFFSET 0) AS digested
        GROUP BY bucket ORDER BY bucket
        ON CONFLICT (projection, table_name, bucket) DO UPDATE
        SET row_count = k.row_count + excluded.row_count, high = k.high + excluded.high,
            low = k.low + excluded.low;
    END IF;
    IF TG_OP IN ('DELETE', 'UPDATE') THEN
        INSERT INTO memferry.kept_digest AS k
            (projection, table_name, bucket, row_count, high, low)
        SELECT {projection}, {name}, bucket, -count(*), -sum(substr(hash, 1, 8)::int8),
            -sum(substr(hash, 9, 8)::int8)
        FROM (SELECT {bucket} AS bucket, {hash} AS hash FROM old_rows OFFSET 0) AS digested
        GROUP BY bucket ORDER BY bucket
        ON CONFLICT (projection, table_name, bucket) DO UPDATE
        SET row_count = k.row_count + excluded.row_count, high = k.high + excluded.high,
            low = k.low + excluded.low;
    END IF;
    RETURN NULL;
END
$memferry$
