"""One lane of the log: its numbering, its chain and its resends, by seq and SHA-256 alone."""

import hashlib
from itertools import pairwise
from typing import NamedTuple

from tests.checker.verdict import Finding, FindingKind

_SHOWN_HEX = 12


class LaneName(NamedTuple):
    """(source, topic generation, partition)."""

    source: str
    generation: int
    partition: int

    def __str__(self) -> str:
        return f"{self.source}/g{self.generation}/p{self.partition}"


class Seen(NamedTuple):
    """One event of the lane: its SHA-256 and where it stood first."""

    digest: bytes
    offset: int


class Lane:
    """Follows one lane from its first record; complains and goes on, so that all faults are named.

    The first event's chain must be the SHA-256 of the lane's own name.
    """

    def __init__(self, name: LaneName, findings: list[Finding]) -> None:
        self.name = name
        self.resends = 0
        self._findings = findings
        genesis = hashlib.sha256(f"memferry lane {name}".encode()).digest()
        self._seen: dict[int, Seen] = {0: Seen(genesis, -1)}
        self._last = 0
        self._unproven: dict[int, str] = {}  # seq → chain, until the event before it is seen
        self._epoch = 0

    def admit(self, value: bytes, seq: int, epoch: int, chain: str, offset: int) -> bool:
        """Follow one record; say whether it is an event that was not seen before."""
        digest = hashlib.sha256(value).digest()
        seen = self._seen.get(seq)
        if seen is not None:
            if seen.digest == digest:
                self.resends += 1
            else:
                self._find(
                    "altered", seq, offset,
                    f"another event with this seq stands at offset {seen.offset}",
                )  # fmt: skip
            return False
        if seq < 1:
            self._find("altered", seq, offset, "a lane counts from 1")
            return False
        self._seen[seq] = Seen(digest, offset)
        if seq > self._last:
            self._last = seq
        else:
            behind = self._seen[self._last]
            self._find(
                "reordered",
                seq,
                offset,
                f"it stands behind seq {self._last} (offset {behind.offset})",
            )
        self._prove(seq, chain)
        if epoch < self._epoch:
            self._find("altered", seq, offset, f"epoch {epoch} follows epoch {self._epoch}")
        self._epoch = max(epoch, self._epoch)
        return True

    def finish(self) -> None:
        """Complain of what never came; call once, behind the last record."""
        for first, last in _holes(sorted(self._seen)):
            what = f"seq {first}" if first == last else f"seq {first} to {last}"
            behind = self._seen.get(last + 1)
            before = f", before offset {behind.offset}" if behind else ""
            self._findings.append(
                Finding(
                    "lost",
                    f"lane {self.name}, {what}, partition {self.name.partition}{before}",
                    f"{last - first + 1} of {self._last} events of the lane are not in the log",
                )
            )

    def _prove(self, seq: int, chain: str) -> None:
        """Compare with the event before, and the event behind with this one, where seen."""
        self._unproven[seq] = chain
        for place in (seq, seq + 1):
            before = self._seen.get(place - 1)
            if before is not None and place in self._unproven:
                claimed, true = self._unproven.pop(place), before.digest.hex()
                if claimed != true:
                    self._find(
                        "altered", place, self._seen[place].offset,
                        f"its chain is {claimed[:_SHOWN_HEX]}…, the SHA-256 of "
                        + (f"seq {place - 1} at offset {before.offset}" if place > 1
                           else "the lane's name")
                        + f" is {true[:_SHOWN_HEX]}…: one of the two was altered",
                    )  # fmt: skip

    def _find(self, kind: FindingKind, seq: int, offset: int, detail: str) -> None:
        where = f"lane {self.name}, seq {seq}, partition {self.name.partition}, offset {offset}"
        self._findings.append(Finding(kind, where, detail))


def _holes(numbers: list[int]) -> list[tuple[int, int]]:
    """Return the first and last number of each hole in rising numbers."""
    return [(a + 1, b - 1) for a, b in pairwise(numbers) if b > a + 1]
