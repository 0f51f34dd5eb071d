SELECT set_config('TimeZone', 'UTC', false), set_config('statement_timeout', %s, false)
