"""The app's own journal: what it held at attach and what it acknowledged, in the order recorded."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from tests.checker.kinds import EntityKey, entity_key
from tests.checker.values import canonical, read_object
from tests.checker.verdict import Finding

_RESTARTED = b'{"restarted"'


class JournalInvalid(Exception):
    """The journal cannot be judged: a line that no kill explains is not what was agreed."""


class Acknowledged(NamedTuple):
    """One mutation that the app told its client was durable."""

    ordinal: int
    """Its place in the journal, from 0."""
    stream: str
    type: str
    source: str
    partition: int
    seq: int
    data: bytes
    """Canonical JSON."""


@dataclass
class Journal:
    """Everything the journal says."""

    acknowledged: dict[str, Acknowledged] = field(default_factory=dict)
    """Event id → what was acknowledged."""
    baseline: dict[EntityKey, bytes] = field(default_factory=dict)
    """Entity in memory at attach → its state as canonical JSON."""
    restarts: int = 0
    torn: int = 0
    findings: list[Finding] = field(default_factory=list)


def parse_journal(lines: Iterable[bytes]) -> Journal:
    """Read the journal's lines.

    A line cut off by a kill, the last one or the one before a restart, was never acknowledged: it
    is counted as torn.
    Raises: JournalInvalid naming the line, for any other that cannot be read.
    """
    journal = Journal()
    cut: JournalInvalid | None = None  # the line before this one could not be read
    ended = True
    for number, raw in enumerate(lines, start=1):
        line, ended = raw.strip(), raw.endswith(b"\n")
        for part in _parts(line):
            restarted = part.startswith(_RESTARTED)
            if cut is not None:
                if not restarted:
                    raise cut
                journal.torn += 1
                cut = None
            try:
                _take(journal, read_object(part), number)
            except (ValueError, KeyError, TypeError) as error:
                cut = _invalid(number, error)
    if cut is not None:
        if ended:
            raise cut
        journal.torn += 1
    return journal


def _parts(line: bytes) -> list[bytes]:
    """Split off the mark that a restarted app appended behind what a kill left of a line."""
    start = line.find(_RESTARTED)
    return [part for part in ((line[:start], line[start:]) if start > 0 else (line,)) if part]


def _invalid(number: int, error: Exception) -> JournalInvalid:
    return JournalInvalid(f"journal line {number} cannot be read: {type(error).__name__}: {error}")


def _take(journal: Journal, line: dict[str, Any], number: int) -> None:
    if "restarted" in line:
        journal.restarts += 1
    elif "baseline" in line:
        # An app killed before its first record starts anew: what it held then is what counts.
        entity = line["entity"]
        journal.baseline[entity_key(line["baseline"], entity)] = canonical(entity)
    else:
        entry = Acknowledged(
            len(journal.acknowledged),
            line["stream"],
            line["type"],
            line["source"],
            line["partition"],
            line["seq"],
            canonical(line["data"]),
        )
        first = journal.acknowledged.setdefault(line["id"], entry)
        if first is not entry:
            journal.findings.append(
                Finding(
                    "doubled",
                    f"journal line {number}, stream {entry.stream}",
                    f"event {line['id']} was acknowledged twice, as seq {first.seq} and as seq "
                    f"{entry.seq} of partitions {first.partition} and {entry.partition}",
                )
            )
