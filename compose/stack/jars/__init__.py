"""Kafka's jars on this machine, exactly as `compose/stack/kafka.lock` names them.

`python -m compose.stack.jars` fills the cache ahead of time, for a machine that will have no
Maven repository; with `--relock` it chooses the jars anew and writes the lock file.
"""
