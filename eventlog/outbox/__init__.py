"""The durable local queue between memory and the log, and the contract its kinds keep."""
