-- For those who wait for what checkpoints alone do not tell.
SELECT pg_notify('memferry_applied', %s)
