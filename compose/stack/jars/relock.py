"""Chooses the jars that run Kafka, and writes them down with their digests."""

import tempfile
from pathlib import Path

from compose.stack.jars import maven
from compose.stack.jars.lock import LOCK, LockedJar, digest, write

KAFKA = "org.apache.kafka:kafka_2.13:4.4.0"
LOGGING = "org.apache.logging.log4j:log4j-core"
LOGGING_BRIDGE = "org.apache.logging.log4j:log4j-slf4j-impl"

_AT_RUN_TIME = (None, "compile", "runtime")


def relock(lock: Path = LOCK) -> list[LockedJar]:
    """The lock file names Kafka, all it needs at run time, and the bridge to its log.

    The bridge is not resolved together with Kafka: jgo would then let the versions its parent
    manages override Kafka's own, down to another kafka-clients.
    """
    with tempfile.TemporaryDirectory(prefix="memferry-relock-") as staging:
        context = maven.context(Path(staging))
        asked, needed = context.resolver.resolve([context.create_dependency(KAFKA)])
        artifacts = {
            f"{found.groupId}:{found.artifactId}": found.artifact
            for found in [*asked, *needed]
            if found.scope in _AT_RUN_TIME
        }
        bridge = f"{LOGGING_BRIDGE}:{artifacts[LOGGING].version}"
        artifacts[LOGGING_BRIDGE] = context.create_dependency(bridge).artifact
        paths = maven.in_parallel(lambda found: found.resolve(), list(artifacts.values()))
        jars = [
            LockedJar(f"{name}:{artifact.version}", digest(path))
            for (name, artifact), path in zip(artifacts.items(), paths, strict=True)
        ]
    write(jars, lock)
    return jars
