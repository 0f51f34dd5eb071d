"""Memory comes back after a restart: from the outbox, the tables and the log's tail, or the log."""
