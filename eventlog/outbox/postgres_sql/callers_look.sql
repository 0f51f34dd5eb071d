SELECT writer, current_setting('transaction_isolation') FROM {schema}.identity
