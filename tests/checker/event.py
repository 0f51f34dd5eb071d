"""One record of the log, read as the CloudEvents 1.0 JSON it should be."""

from typing import Any, NamedTuple

from tests.checker.values import read_object

CONTROL_PREFIX = "memferry."
SNAPSHOT_SUFFIX = ".snapshotted.v1"


class Record(NamedTuple):
    """What Kafka keeps at one offset."""

    partition: int
    offset: int
    key: bytes | None
    value: bytes | None

    @property
    def where(self) -> str:
        """Say where the record stands."""
        return f"partition {self.partition}, offset {self.offset}"


class Event(NamedTuple):
    """One event and where it stands."""

    id: str
    source: str
    type: str
    stream: str
    seq: int
    epoch: int
    chain: str
    data: dict[str, Any]
    partition: int
    offset: int

    @property
    def is_snapshot(self) -> bool:
        """Say whether it carries state from before the log."""
        return self.type.endswith(SNAPSHOT_SUFFIX)

    @property
    def is_control(self) -> bool:
        """Say whether it is memferry's own: in its lane, and no row."""
        return self.type.startswith(CONTROL_PREFIX)

    @property
    def where(self) -> str:
        """Say where the event stands, in every numbering there is."""
        return (
            f"stream {self.stream}, seq {self.seq}, partition {self.partition}, "
            f"offset {self.offset}"
        )


def read_event(record: Record) -> Event:
    """Return the event of a record.

    Raises: ValueError saying what is wrong with its key or value.
    """
    if record.value is None:
        raise ValueError("it has no value")
    members = read_object(record.value)
    if members.get("specversion") != "1.0":
        raise ValueError(f"specversion is {members.get('specversion')!r}, not '1.0'")
    stream = _text(members, "subject")
    if record.key != stream.encode():
        raise ValueError(f"its key is {record.key!r}, its subject {stream!r}")
    seq, epoch, data = _text(members, "seq"), members.get("epoch"), members.get("data")
    if not (seq.isascii() and seq.isdigit() and seq == str(int(seq))):
        raise ValueError(f"seq is {seq!r}, no decimal number")
    if type(epoch) is not int:
        raise ValueError(f"epoch is {epoch!r}, not an integer")
    if not isinstance(data, dict):
        raise ValueError("data is not a JSON object")
    return Event(
        _text(members, "id"),
        _text(members, "source"),
        _text(members, "type"),
        stream,
        int(seq),
        epoch,
        _text(members, "chain"),
        data,
        record.partition,
        record.offset,
    )


def _text(members: dict[str, Any], name: str) -> str:
    value = members.get(name)
    if not isinstance(value, str):
        raise ValueError(f"{name} is {value!r}, not text")
    return value
