"""Groups of events in one transaction: delayed on request, bounded in bytes, units never cut."""

from collections.abc import Callable, Sequence
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from eventlog.commit import GroupCommit, Unit, groups_of
from eventlog.outbox.contract import Command, Pending
from eventlog.outbox.sqlite import SqliteOutbox
from eventlog.outbox.sqlite_reader import SqliteOutboxReader
from eventlog.receipts import Watermark
from schemas.envelope import Context
from schemas.settings import Outbox
from tests.eventlog.app import (
    DEADLINE_S,
    IDENTITY,
    App,
    BusyDisk,
    opened,
    require_whole_lanes,
    rows_of,
)
from tests.eventlog.outbox.appender import Item

MakeApp = Callable[..., App]


def items(*sizes: int) -> list[Pending]:
    made: list[Pending] = []
    for row, size in enumerate(sizes, 1):
        item = Item(0, "account/a", "")
        item.row, item.head, item.data = row, b"", b"x" * size
        made.append(item)
    return made


def cut(
    batch: list[Pending], units: Sequence[Unit], limit: int
) -> list[tuple[list[int], list[str]]]:
    return [
        ([item.row for item in group], [command.id for command in commands])
        for group, commands in groups_of(batch, units, limit)
    ]


def count_commits(app: App) -> list[int]:
    """Return a list that grows by the rows of each commit from now on."""
    outbox = app.ferry._outbox
    assert isinstance(outbox, SqliteOutbox)
    commits: list[int] = []

    def committing() -> bool:
        commits.append(outbox.last_row())
        return False

    outbox._db.set_commit_hook(committing)
    return commits


def test_what_is_smaller_than_the_limit_is_one_transaction() -> None:
    command = Command("c", b"")

    found = cut(items(10, 10, 10), [Unit(2, 3, command)], 30)

    assert found == [([1, 2, 3], ["c"])]


def test_a_transaction_ends_once_it_has_reached_the_limit() -> None:
    found = cut(items(10, 10, 10, 50, 10), [], 20)

    assert found == [([1, 2], []), ([3, 4], []), ([5], [])]


def test_a_unit_larger_than_the_limit_is_one_transaction_with_its_command() -> None:
    units = [Unit(2, 4, Command("c", b"")), Unit(5, 5, Command("d", b""))]

    found = cut(items(20, 20, 20, 20, 20), units, 20)

    assert found == [([1], []), ([2, 3, 4], ["c"]), ([5], ["d"])]


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.tuples(st.integers(1, 5), st.integers(0, 30), st.booleans())), st.integers(1, 60)
)
def test_whatever_is_queued_it_is_committed_in_order_whole_and_with_its_commands(
    puts: list[tuple[int, int, bool]], limit: int
) -> None:
    sizes: list[int] = []
    units = []
    for count, size, named in puts:
        first = len(sizes) + 1
        sizes += [size] * count
        if count > 1 or named:
            command = Command(str(first), b"") if named else None
            units.append(Unit(first, len(sizes), command))

    found = cut(items(*sizes), units, limit)

    assert [row for rows, _ in found for row in rows] == list(range(1, len(sizes) + 1))
    for unit in units:
        (rows, commands) = next(group for group in found if unit.first in group[0])
        assert unit.last in rows
        assert unit.command is None or unit.command.id in commands
    assert sum(len(commands) for _, commands in found) == sum(u.command is not None for u in units)


def test_a_long_queue_is_many_transactions_and_its_units_stay_whole(make_app: MakeApp) -> None:
    app = make_app(options=Outbox(commit_bytes=2_000))
    reader = SqliteOutboxReader(app.path)
    commits = count_commits(app)
    with BusyDisk(app.path):
        for number in range(20):
            unit = [opened(f"{number}-{part}") for part in range(3)]
            receipt = app.ferry.record_all(unit, context=Context(commandid=str(number)))[-1]
    seen = {reader.last_row()}

    while not receipt.seq and app.ferry._commit.halted is None:
        seen.add(reader.last_row())

    receipt.durable(DEADLINE_S)
    assert len(commits) >= 6
    assert {row % 3 for row in seen} == {0}
    require_whole_lanes(rows_of(app.path))
    app.close()
    again = make_app()
    for number in range(20):
        unit = [opened(f"{number}-{part}") for part in range(3)]
        again.ferry.record_all(unit, context=Context(commandid=str(number)))
    assert len(rows_of(app.path)) == 60
    reader.close()


def test_a_commit_that_waits_takes_what_is_recorded_meanwhile(make_app: MakeApp) -> None:
    app = make_app(options=Outbox(commit_delay_us=500_000))
    commits = count_commits(app)

    receipts = [app.ferry.record(opened(str(number))) for number in range(5)]
    for receipt in receipts:
        receipt.durable(DEADLINE_S)

    assert len(commits) == 1


def test_closing_does_not_wait_for_the_delay(tmp_path: Path) -> None:
    outbox = SqliteOutbox(tmp_path / "outbox.db", IDENTITY)
    options = Outbox(commit_delay_us=3_600_000_000)
    commit = GroupCommit(outbox, Watermark(), 10, lambda error: None, options)
    commit.put([Item(0, "account/a", "x")])

    assert commit.close(DEADLINE_S)

    assert outbox.last_row() == 1
    outbox.close()
