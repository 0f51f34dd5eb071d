"""The durable queue, under every fault that a disk or a process can have."""
