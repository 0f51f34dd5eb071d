-- Readers do not wait for the disk: whoever asked for the swap does, behind it (exchange_flush.sql).
-- A crash before that leaves the tables as they were, whole.
SET LOCAL synchronous_commit = off
