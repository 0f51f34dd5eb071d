"""The checker's own fold: the rows that the log makes, from the events' JSON alone."""

from typing import Any

from tests.checker.event import Event
from tests.checker.kinds import TABLES, Table, entity_key
from tests.checker.rows import ExpectedRows, read
from tests.checker.rules import PLACES, RULES, Items, Rule
from tests.checker.sums import wrong_sums
from tests.checker.verdict import Finding, FindingKind

_MISSHAPEN = (KeyError, ValueError, TypeError, ArithmeticError)


class Fold:
    """Takes events, each stream's in order, and keeps every row as it should be after them.

    An event that cannot follow what was there is complained of; its effect is folded all the same
    where it has one.
    """

    def __init__(self, findings: list[Finding]) -> None:
        self.rows: dict[str, ExpectedRows] = {table.name: {} for table in TABLES}
        self.events = 0
        self._findings = findings

    def apply(self, event: Event) -> None:
        """Fold one event."""
        self.events += 1
        rule = RULES.get(event.type)
        if rule is None:
            self._find("foreign", event, "no event of this type is known")
            return
        if event.data.keys() != rule.members:
            unlike = ", ".join(sorted(event.data.keys() ^ rule.members))
            self._find("altered", event, f"members missing or not known: {unlike}")
            return
        try:
            self._check_stream(event)
            self._fold(event, rule)
        except _MISSHAPEN as error:
            self._find("altered", event, f"misshapen: {type(error).__name__}: {error}")

    def _check_stream(self, event: Event) -> None:
        stream = entity_key(event.type.split(".")[1], event.data).stream
        if stream != event.stream:
            self._find("altered", event, f"its data belongs to the stream {stream}")

    def _fold(self, event: Event, rule: Rule) -> None:
        rows = self.rows[rule.table.name]
        key = key_of(rule.table, event.data)
        before = rows.get(key)
        self._check_state(event, rule, before)
        if rule.act == "ends":
            rows.pop(key, None)
        elif rule.act == "changes":
            if before is not None:
                rows[key] = _changed(before, event.data, rule)
        else:
            takes, sets, data = rule.takes, rule.sets, event.data
            rows[key] = tuple(
                [data[takes[name]] if name in takes else sets[name] for name in rule.table.columns]
            )
        if rule.items is not None:
            self._fold_items(event, rule.items)

    def _fold_items(self, event: Event, items: Items) -> None:
        rows = self.rows[items.table.name]
        wanted = items.table.columns.keys() - items.shared
        for item in event.data[items.member]:
            if item.keys() != wanted:
                raise ValueError(f"{items.member} hold {sorted(item)}")
            members = {name: event.data[name] for name in items.shared} | item
            key = key_of(items.table, members)
            if key in rows and not event.is_snapshot:
                self._find("doubled", event, f"{items.table.name} has a row {key} already")
            rows[key] = tuple([members[name] for name in items.table.columns])

    def _check_state(self, event: Event, rule: Rule, before: tuple[Any, ...] | None) -> None:
        """Complain where the row before the event is not one that the event can follow."""
        if before is None:
            if rule.act in ("changes", "ends"):
                self._find(
                    "lost", event, f"nothing before it in the log makes its {rule.table.name}"
                )
                return
        elif rule.act == "creates":
            self._find("doubled", event, f"its row is in {rule.table.name} already")
        places = PLACES[rule.table.name]
        if rule.after and before is not None:
            status, time_ns = before[places["status"]], before[places["updated_at_ns"]]
            if status not in rule.after:
                self._find("reordered", event, f"it cannot follow the status {status!r}")
                return
            if event.data["at_ns"] < time_ns:
                detail = (
                    f"its time {event.data['at_ns']} ns is before {time_ns} ns, the last event's"
                )
                self._find("reordered", event, detail)
        row = dict(zip(places, before, strict=True)) if rule.act == "changes" and before else {}
        for complaint in wrong_sums(event.type, row, event.data):
            self._find("altered", event, complaint)

    def _find(self, kind: FindingKind, event: Event, detail: str) -> None:
        self._findings.append(Finding(kind, event.where, f"{event.type} {event.id}: {detail}"))


def key_of(table: Table, members: dict[str, Any]) -> tuple[Any, ...]:
    """Return a row's key as PostgreSQL gives it; raises where the members do not make one."""
    columns = table.columns
    return tuple([read(members[name], columns[name]) for name in table.key])


def _changed(before: tuple[Any, ...], data: dict[str, Any], rule: Rule) -> tuple[Any, ...]:
    places = PLACES[rule.table.name]
    row = list(before)
    for column, member in rule.takes.items():
        row[places[column]] = data[member]
    for column, value in rule.sets.items():
        row[places[column]] = value
    return tuple(row)
