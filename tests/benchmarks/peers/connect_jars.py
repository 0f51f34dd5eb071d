"""Chooses the jars that run Kafka Connect with Debezium's JDBC sink, and writes connect.lock.

python -m tests.benchmarks.peers.connect_jars
"""

import sys
import tempfile
from pathlib import Path
from typing import Any

from compose.stack.jars import maven
from compose.stack.jars.lock import LockedJar, digest

LOCK = Path(__file__).with_name("connect.lock")
WANTED = (
    "org.hibernate.orm:hibernate-agroal:7.2.0.Final",
    "io.debezium:debezium-connector-jdbc:3.6.0.Final",
    "org.apache.kafka:connect-runtime:4.3.0",
    "org.slf4j:slf4j-simple:1.7.36",
)
"""What two of them need in two versions is the first one's: Hibernate's own parser runtime goes
before Debezium's."""
LEFT_OUT = frozenset(
    {
        "org.hibernate:hibernate-agroal",  # has no jar: it only points to hibernate.orm's
        "com.mysql:mysql-connector-j", "org.mariadb.jdbc:mariadb-java-client",
        "com.microsoft.sqlserver:mssql-jdbc", "com.oracle.database.jdbc:ojdbc11",
    }
)  # fmt: skip
"""Other databases' drivers."""
_AT_RUN_TIME = (None, "compile", "runtime")
_HEADER = """\
# The jars of the benchmarks' peer, Kafka Connect with Debezium's JDBC sink, each with its SHA-256.
# Written by: python -m tests.benchmarks.peers.connect_jars

[jars]
"""


def relock(lock: Path = LOCK) -> list[LockedJar]:
    """Write down what WANTED needs at run time."""
    with tempfile.TemporaryDirectory(prefix="memferry-relock-") as staging:
        context = maven.context(Path(staging))
        artifacts: dict[str, Any] = {}
        for coordinate in WANTED:
            asked, needed = context.resolver.resolve([context.create_dependency(coordinate)])
            for found in [*asked, *needed]:
                name = f"{found.groupId}:{found.artifactId}"
                if found.scope in _AT_RUN_TIME and name not in LEFT_OUT:
                    artifacts.setdefault(name, found.artifact)
        paths = maven.in_parallel(lambda found: found.resolve(), list(artifacts.values()))
        jars = sorted(
            LockedJar(f"{name}:{artifact.version}", digest(path))
            for (name, artifact), path in zip(artifacts.items(), paths, strict=True)
        )
    lines = [f'"{jar.coordinate}" = "{jar.sha256}"\n' for jar in jars]
    lock.write_text(_HEADER + "".join(lines))
    return jars


if __name__ == "__main__":
    sys.stdout.write(f"{LOCK}: {len(relock())} jars locked\n")
