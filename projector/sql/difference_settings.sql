-- Times are shown in UTC; two sets of tables are joined by hash, in memory where they fit.
SELECT set_config('timezone', 'UTC', true), set_config('work_mem', '64MB', true)
