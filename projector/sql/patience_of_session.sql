-- For as long as the connection lives: no lock is waited for any longer.
SELECT set_config('lock_timeout', %s, false)
