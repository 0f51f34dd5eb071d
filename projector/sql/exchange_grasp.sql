-- All or none, without a wait: where somebody is within a transaction, nobody behind him waits.
LOCK TABLE {tables} IN ACCESS EXCLUSIVE MODE NOWAIT
