"""A domain that none of memferry's code knows, with events of three versions, is projected."""

import secrets
import subprocess
import sys
from pathlib import Path

import psycopg

from compose.stack import Stack
from schemas.settings import Kafka, Outbox, Postgres, Settings
from tests.domains import versioned
from tests.golden.files import LANE, read
from tests.projector.app import App
from tests.projector.broker import Broker


def test_a_domain_of_the_users_own_is_projected_with_all_versions_of_its_events(
    stack: Stack, broker: Broker, tmp_path: Path
) -> None:
    endpoints = stack.endpoints()
    assert endpoints is not None
    name = f"t{secrets.token_hex(5)}"
    settings = Settings(
        source=LANE.source, topic=name, outbox=Outbox(path="outbox.db"),
        kafka=Kafka(bootstrap=endpoints.kafka, partitions=1),
        postgres=Postgres(dsn=endpoints.postgres), directory=str(tmp_path),
    )  # fmt: skip
    package = tmp_path / "acme"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "fees.py").write_text(Path(versioned.__file__).read_text())
    broker.make_topics(settings)
    app = App(settings)  # its source is opened
    broker.publish(settings, app.rows())
    app.close()
    broker.send(settings, 0, [line.value for line in read("versioned")])

    environment = {
        "PYTHONPATH": f"{tmp_path}:{Path.cwd()}", "MEMFERRY_TOPIC": name,
        "MEMFERRY_PROJECTION": name, "MEMFERRY_KAFKA_BOOTSTRAP": endpoints.kafka,
        "MEMFERRY_POSTGRES_DSN": endpoints.postgres,
    }  # fmt: skip
    for command in (
        ["project", "--until-end"],
        ["audit", "--without-memory"],
        ["replay", "--to-end"],
        ["status"],
    ):
        done = subprocess.run(
            [
                sys.executable, "-c", "from compose.cli import main; main()",
                *command, "--domain", "acme.fees",
            ],
            env=environment, cwd=tmp_path, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, (command, done.stdout, done.stderr)

    with psycopg.connect(endpoints.postgres) as conn:
        rows = conn.execute(
            f"SELECT fee, amount::text, currency, reason FROM {name}.fees ORDER BY 1"
        ).fetchall()
    assert rows == [
        ("F-1", "2.5", "USD", "not said"),
        ("F-2", "3.10", "EUR", "not said"),
        ("F-3", "1", "GBP", "late"),
        ("F-4", "4", "USD", "a stamp"),
    ]
