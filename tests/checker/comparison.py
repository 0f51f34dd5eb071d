"""One check without servers: journal, records and rows are handed over by whoever has them."""

from collections.abc import Iterable, Mapping

from tests.checker.event import Record
from tests.checker.fold import Fold
from tests.checker.journal import parse_journal
from tests.checker.kinds import Table
from tests.checker.log import LogCheck
from tests.checker.rows import RowCheck
from tests.checker.verdict import Counts, Finding, Verdict


class Comparison:
    """Takes the parts in the order of its methods; the journal is used up, so memory is bounded.

    Raises: JournalInvalid.
    """

    def __init__(
        self, journal: Iterable[bytes], generation: int, until: Mapping[int, int] | None = None
    ) -> None:
        said = parse_journal(journal)
        self.counts = Counts(
            acknowledged=len(said.acknowledged), baseline=len(said.baseline), torn=said.torn
        )
        self.findings: list[Finding] = said.findings
        self._until = until
        self._log = LogCheck(generation, said, self.counts, self.findings)
        self._fold = Fold(self.findings)

    def take(self, record: Record) -> None:
        """Check one record; each partition's in offset order.

        Raises: ValueError where `until` does not name its partition.
        """
        event = self._log.admit(record)
        if self._until is not None:
            if record.partition not in self._until:
                raise ValueError(f"`until` does not name partition {record.partition}")
            if record.offset >= self._until[record.partition]:
                return
        if event is not None:
            self._fold.apply(event)

    def end_log(self, *, snapshot_complete: bool = True) -> None:
        """Complain of what the log does not hold; call once, behind the last record."""
        self._log.finish(snapshot_complete=snapshot_complete)
        self.counts.folded = self._fold.events

    def rows_of(self, table: Table) -> RowCheck:
        """Return the check of one table's rows; call once a table, behind `end_log`."""
        return RowCheck(table, self._fold.rows[table.name], self.findings)

    def verdict(self) -> Verdict:
        """Return what was found so far."""
        return Verdict(self.findings, self.counts)


def generation_of(topic: str) -> int:
    """Return the generation in a topic's name in Kafka; raises ValueError where there is none."""
    _, dot, generation = topic.rpartition(".")
    if not (dot and generation.isdecimal()):
        raise ValueError(f"{topic!r} is no topic with a generation, for example memferry.1")
    return int(generation)
