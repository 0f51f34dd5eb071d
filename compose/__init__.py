"""The parts put together: the `memferry` command, the embedded stack, the sample trading app."""
