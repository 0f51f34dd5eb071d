-- Commands whose events are gone, once they are old enough.
DELETE FROM {schema}.command
WHERE number < coalesce(
        (SELECT min(number) FROM {schema}.event WHERE partition <> %(control)s),
        (SELECT last_row + 1 FROM {schema}.identity))
    AND recorded_at < now() - make_interval(secs => %(kept_s)s)
