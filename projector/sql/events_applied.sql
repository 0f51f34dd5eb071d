SELECT coalesce(sum(seq), 0)::bigint FROM memferry.lane WHERE projection = %s
