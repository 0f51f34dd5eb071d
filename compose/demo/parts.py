"""What the demo runs: a directory, settings, and the processes of app, relay and projector."""

import os
import secrets
import shutil
import sys
from pathlib import Path

from compose.demo.processes import MEMFERRY, Commands, Process
from compose.stack import Stack

SOURCE = "paper-trader"


class Parts:
    """One run's parts; nothing but the servers is started yet."""

    def __init__(self, stack: Stack, directory: Path, speed: float, multiplicity: int) -> None:
        shutil.rmtree(directory, ignore_errors=True)
        logs = directory / "logs"
        logs.mkdir(parents=True)
        self.directory = directory
        self.projection = f"trading_{secrets.token_hex(3)}"
        self.ready = directory / "app.json"
        self.outbox = directory / "outbox.db"
        endpoints = stack.up()
        self.dsn = endpoints.postgres
        config = directory / "memferry.toml"
        config.write_text(
            f'source = "{SOURCE}"\ntopic = "trading"\nprojection = "{self.projection}"\n'
            f'domain = "schemas.trading"\n[outbox]\npath = "outbox.db"\n'
            f'[relay]\nmode = "process"\n',
            encoding="utf-8",
        )
        environment = os.environ | {
            "MEMFERRY_KAFKA_BOOTSTRAP": endpoints.kafka,
            "MEMFERRY_POSTGRES_DSN": endpoints.postgres,
        }
        app = (
            sys.executable, "-m", "compose.trading_app", "--config", str(config), "--laps", "0",
            "--http", "0", "--ready-file", str(self.ready), "--speed", str(speed),
            "--multiplicity", str(multiplicity),
        )  # fmt: skip
        self._with_config = ("-c", str(config))
        self.app = Process("app", app, logs / "app.log", environment)
        self.relay = Process(
            "relay", (*MEMFERRY, "relay", *self._with_config), logs / "relay.log", environment
        )
        self.projector = Process(
            "projector", (*MEMFERRY, "project", *self._with_config), logs / "projector.log",
            environment,
        )  # fmt: skip
        self.commands = Commands(environment, logs / "commands.log")

    @property
    def processes(self) -> list[Process]:
        """All three, the app first."""
        return [self.app, self.relay, self.projector]

    def memferry(self, *words: str) -> object:
        """Run a command as an operator would; return its JSON document."""
        return self.commands.run(*words, *self._with_config)
