-- The snapshot lives as long as this transaction, which says nothing while pg_dump works.
SELECT set_config(name, '0', true)
FROM unnest(ARRAY['statement_timeout', 'idle_in_transaction_session_timeout']) AS name
