-- The lock waits for a transaction that is still on its way to its commit.
SELECT writer, last_row FROM {schema}.identity FOR UPDATE
