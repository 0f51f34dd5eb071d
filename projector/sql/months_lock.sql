-- Whoever makes a month waits for whoever makes another; batches go on meanwhile.
LOCK TABLE ONLY {table} IN SHARE UPDATE EXCLUSIVE MODE
