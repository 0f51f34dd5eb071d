-- Before the snapshot is taken: TRUNCATE shows empty tables to snapshots that are older than it.
LOCK TABLE {tables} IN ACCESS SHARE MODE
