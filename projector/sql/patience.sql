-- For this transaction only: no lock is waited for any longer.
SELECT set_config('lock_timeout', %s, true)
