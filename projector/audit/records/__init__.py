"""What is validated, read as a stream from memory, the log, the tables, or a file."""
