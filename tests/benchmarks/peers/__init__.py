"""What others do with the same topic and table, in the same run: `make bench-peers`."""
