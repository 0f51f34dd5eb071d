"""The level of references: what an entity names is there, and numbered streams have no holes.

What the log shows to have been there once is there. Memory, tables and files show only what is
there now: a rule says what may have ended since (`outlives`), and that is not asked for.

While an app goes on, no source is cut at one moment in all partitions: what an entity names may be
just behind the cut. So what is found is a suspicion until a second look finds it again.
"""

import time
from typing import Any

from projector.audit.levels.gaps import Gaps
from projector.audit.levels.known_keys import KnownKeys
from projector.audit.levels.level import LevelName, LevelResult
from projector.audit.levels.references import Link, Target
from projector.audit.levels.tally import Broken, Tally
from projector.audit.records.record import Record
from schemas.default_rules import rules_of
from schemas.domain import Domain, Kind
from schemas.rules import Gapless, Reference


class CrossReferenceLevel:
    """Looks at each record once; used once."""

    name: LevelName = "cross_reference"

    def __init__(self, domain: Domain, suspects: frozenset[int] | None = None) -> None:
        rules = rules_of(domain)
        kinds = {kind.name: kind for kind in domain.kinds}
        self._tally = Tally(self.name, domain, suspects)
        self._known = KnownKeys()
        self._targets: dict[str, Target] = {}
        self._links: dict[str, list[Link]] = {}
        self._numbered: list[Link] = []
        self._skipped: list[str] = []
        for rule in rules.of(Reference):
            if rule.kind in kinds and rule.to in kinds:
                self._link(rule, kinds[rule.to])
            else:
                missing = rule.kind if rule.kind not in kinds else rule.to
                self._skipped.append(f"{rule.name}: there is no kind {missing}")
        self._gaps = {
            name: [Gaps(kind, rule) for rule in rules.of(Gapless, name)]
            for name, kind in kinds.items()
        }
        self._snapshots: dict[str, type] = {}
        self._stepped = False
        self._looked = 0
        self._broken = 0
        self._row = ""
        self._began = time.monotonic()

    def add(self, record: Record) -> None:
        """Look at one record."""
        kind, entity = record.kind, record.entity
        if record.error or kind is None or (entity is None and record.event is None):
            return
        self._looked += 1
        name = kind.name
        if record.event is not None:
            self._stepped = True
            if entity is not None:
                self._step(kind, record)
            return
        target = self._targets.get(name)
        if target is not None:
            target.add(entity)
        for gaps in self._gaps.get(name, ()):
            gaps.add(entity)
        for link in self._links.get(name, ()):
            if not link.rule.outlives or _must_be_there(link, entity):
                link.look(entity, record.key, self._known)
            elif not self._stepped:
                link.unjudged += 1

    def finish(self) -> LevelResult:
        """Say what was found."""
        for pending, there, same in self._known.pending():
            link = self._numbered[pending.rule]
            rule, target = link.rule, link.target
            if not target.seen or (not there and target.left_window(pending)) or (there and same):
                continue
            step = self._tally.bisect(rule.to, pending.value)
            if not there:
                expected = f"a {rule.to} of that {'stream' if rule.to_stream else 'key'}"
                self._note(link.broken, pending.row, f"{rule.to} {pending.value}", expected, step)
            else:
                expected = f"that of {rule.to} {pending.value}"
                said = f"{', '.join(rule.same)}: {pending.says}"
                self._note(link.differs, pending.row, said, expected, step)
        self._known.close()
        self._find_gaps()
        names = [link.broken.rule for link in self._numbered]
        names += [gaps.broken.rule for all_gaps in self._gaps.values() for gaps in all_gaps]
        return LevelResult(
            self.name, self._looked, min(self._broken, self._looked), names,
            self._tally.breaches(), self._what_was_skipped(),
            seconds=time.monotonic() - self._began,
        )  # fmt: skip

    @property
    def suspects(self) -> frozenset[int]:
        """What was found, for a second look."""
        return frozenset(self._tally.suspects)

    def _link(self, rule: Reference, to: Kind) -> None:
        target = self._targets.setdefault(to.name, Target(to, self._known))
        link = Link(len(self._numbered), rule, target)
        self._numbered.append(link)
        self._links.setdefault(rule.kind, []).append(link)

    def _step(self, kind: Kind, record: Record) -> None:
        entity = record.entity
        if record.before is None:
            target = self._targets.get(kind.name)
            if target is not None:
                target.add(entity)
            for gaps in self._gaps.get(kind.name, ()):
                gaps.add(entity)
        for link in self._links.get(kind.name, ()):
            if link.rule.outlives and not self._was_there(kind, record):
                link.look(entity, record.key, self._known)

    def _was_there(self, kind: Kind, record: Record) -> bool:
        """Say whether a step's references were judged before, or are older than the log."""
        if record.before is not None:
            return True
        if kind.description is not None:
            return False  # all its events carry a state: none says that it is an older one
        snapshot = self._snapshots.get(kind.name)
        if snapshot is None:
            snapshot = self._snapshots[kind.name] = type(kind.snapshot(record.entity))
        return type(record.event) is snapshot

    def _find_gaps(self) -> None:
        for all_gaps in self._gaps.values():
            for gaps in all_gaps:
                for stream, first, last in gaps.gaps():
                    span = str(first) if first == last else f"{first} to {last}"
                    self._note(
                        gaps.broken, f"{stream}: {span}", f"no {span}",
                        "each number between the lowest and the highest", "memferry audit",
                    )  # fmt: skip

    def _note(self, broken: Broken, row: str, observed: str, expected: str, step: str) -> None:
        counted = self._tally.add(broken, row, observed, expected, step)
        if counted and row != self._row:  # those of one record come one after the other
            self._broken += 1
            self._row = row

    def _what_was_skipped(self) -> list[str]:
        skipped = list(self._skipped)
        for link in self._numbered:
            if not link.target.seen:
                skipped.append(f"{link.rule.name}: no {link.rule.to} was looked at")
            elif link.unjudged:
                skipped.append(
                    f"{link.rule.name}: {link.unjudged} of which the {link.rule.to} may have ended "
                    "since; the log shows it"
                )
        for all_gaps in self._gaps.values():
            for gaps in all_gaps:
                skipped += gaps.skipped
        return skipped


def _must_be_there(link: Link, entity: Any) -> bool:
    present_while = link.rule.present_while
    return present_while is not None and present_while(entity)
