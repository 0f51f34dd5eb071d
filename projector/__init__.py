"""The read side: the log into PostgreSQL, replay, audit."""
