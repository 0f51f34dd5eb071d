"""Rows go once they are safe elsewhere, and everything goes on as if they were there."""

import threading
from collections.abc import Callable
from pathlib import Path

import apsw
import psycopg
import pytest

from eventlog.outbox.contract import Safe
from eventlog.outbox.integrity import check_whole
from eventlog.outbox.sqlite import SqliteOutbox
from eventlog.outbox.sqlite_reader import SqliteOutboxReader
from eventlog.receipts import Watermark
from eventlog.relay import OutboxForked, require_continuation
from eventlog.topic import TopicHead
from schemas.control import SnapshotCompleted
from schemas.envelope import Context
from schemas.lane import CONTROL_PARTITION
from schemas.settings import Outbox
from tests.eventlog.app import DEADLINE_S, IDENTITY, App, deposited, opened, rows_of
from tests.eventlog.outbox.appender import Item
from tests.eventlog.outbox.disk import WatchedDisk
from tests.eventlog.writer import Writer
from tests.projector.waiting import until

MakeApp = Callable[..., App]
PRUNED = Outbox(prune="applied")
KEPT_S = 3_600.0


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "outbox.db"


def filled(path: Path) -> SqliteOutbox:
    """Return an outbox with a control record and ten events in each of three lanes."""
    outbox = SqliteOutbox(path, IDENTITY)
    outbox.append([Item(CONTROL_PARTITION, "memferry/app-1", "opened")])
    outbox.append([Item(n % 3, f"account/{n}", str(n)) for n in range(30)])
    return outbox


def kept(path: Path) -> list[int]:
    return [row.row for row in rows_of(path) if row.partition != CONTROL_PARTITION]


@pytest.mark.parametrize(
    ("sent", "applied", "first"),
    [
        (31, {0: 10, 1: 10, 2: 10}, 32),
        (31, {0: 10, 1: 4, 2: 10}, 15),
        (20, {0: 10, 1: 10, 2: 10}, 21),
        (31, {0: 10, 1: 10}, 4),
        (31, {}, 2),
        (0, {0: 10, 1: 10, 2: 10}, 2),
    ],
)
def test_rows_go_that_are_sent_and_applied_and_none_behind_one_that_is_not(
    sent: int, applied: dict[int, int], first: int, path: Path
) -> None:
    outbox = filled(path)

    deleted = outbox.prune(Safe(sent, applied), 1_000, KEPT_S)

    assert kept(path) == list(range(first, 32))
    assert deleted == first - 2
    reader = SqliteOutboxReader(path)
    assert reader.first_kept() == (first if deleted else 1)
    assert reader.last_row() == 31
    reader.close()
    outbox.close()
    assert check_whole(path) == (31 - deleted, [])


def test_rows_go_in_steps_the_oldest_first(path: Path) -> None:
    outbox = filled(path)
    safe = Safe(31, {0: 10, 1: 10, 2: 10})

    steps = [outbox.prune(safe, 8, KEPT_S) for _ in range(5)]

    assert steps == [8, 8, 8, 6, 0]
    assert kept(path) == []
    outbox.close()


def test_the_control_lane_is_never_pruned(path: Path) -> None:
    outbox = filled(path)

    outbox.prune(Safe(31, {0: 10, 1: 10, 2: 10, CONTROL_PARTITION: 1}), 1_000, KEPT_S)

    assert [row.row for row in outbox.lane_rows(CONTROL_PARTITION)] == [1]
    outbox.close()


def test_an_outbox_pruned_of_everything_goes_on_where_it_was(path: Path) -> None:
    outbox = filled(path)
    heads = outbox.heads()
    outbox.prune(Safe(31, {0: 10, 1: 10, 2: 10}), 1_000, KEPT_S)
    outbox.close()

    outbox = SqliteOutbox(path, IDENTITY)

    assert (outbox.last_row(), outbox.heads()) == (31, heads)
    outbox.append([Item(0, "account/a", "a"), Item(2, "account/b", "b")])
    assert [(row.row, row.seq) for row in outbox.rows(1, 10)] == [(32, 11), (33, 11)]
    outbox.close()
    assert check_whole(path) == (3, [])


def test_a_pruned_outbox_is_compared_with_the_topic_by_its_heads(path: Path) -> None:
    outbox = filled(path)
    outbox.prune(Safe(31, {0: 10, 1: 10, 2: 10}), 1_000, KEPT_S)
    reader = SqliteOutboxReader(path)
    head = outbox.heads()[1]

    require_continuation(reader, {1: TopicHead(head.seq, head.digest)})
    require_continuation(reader, {1: TopicHead(head.seq - 1, "f" * 64)})  # pruned, and not newest

    with pytest.raises(OutboxForked, match="event 10 in the topic is not the one in the outbox"):
        require_continuation(reader, {1: TopicHead(head.seq, "f" * 64)})
    reader.close()
    outbox.close()


def test_commands_outlive_their_events_for_as_long_as_they_are_told(
    path: Path, make_app: MakeApp
) -> None:
    app = make_app(path)
    first = app.ferry.record(opened("a"), context=Context(commandid="c-1"))
    first.durable(DEADLINE_S)
    app.close()
    outbox = SqliteOutbox(path, IDENTITY)
    outbox.prune(Safe(1, {first.partition: 1}), 10, KEPT_S)
    assert rows_of(path) == []

    known = outbox.command("c-1")

    assert known is not None
    assert known.events[0][:2] == (1, first.event_id)
    outbox.append([Item(first.partition, "account/z", "z")])
    outbox.prune(Safe(2, {first.partition: 2}), 10, -10.0)
    assert outbox.command("c-1") is None
    outbox.close()


def test_a_command_is_not_forgotten_while_its_events_are_held(
    path: Path, make_app: MakeApp
) -> None:
    app = make_app(path)
    app.ferry.record(opened("a"), context=Context(commandid="c-1"))
    second = app.ferry.record(opened("b"), context=Context(commandid="c-2"))
    second.durable(DEADLINE_S)
    app.close()
    outbox = SqliteOutbox(path, IDENTITY)

    outbox.prune(Safe(1, {row.partition: row.seq for row in rows_of(path)}), 10, -10.0)

    assert outbox.command("c-1") is None
    assert outbox.command("c-2") is not None
    outbox.close()


def sent(app: App, row: int) -> None:
    """Say in the relay's place that Kafka has everything up to a row."""
    app.ferry.promises.serve_replicated(Watermark(row))


def test_the_writing_thread_prunes_while_the_app_goes_on(make_app: MakeApp) -> None:
    app = make_app(options=PRUNED)
    for number in range(40):
        receipt = app.ferry.record(opened(str(number)))
    receipt.durable(DEADLINE_S)
    sent(app, 40)

    app.ferry.pruning.allow({p: h.seq for p, h in app.ferry._outbox.heads().items()})

    until(lambda: kept(app.path) == [], "everything is pruned")
    app.ferry.record(deposited("1", 5, 5)).durable(DEADLINE_S)
    assert [row.row for row in rows_of(app.path)] == [41]
    app.close()
    assert check_whole(app.path) == (1, [])


def test_a_full_outbox_has_room_again_once_it_is_pruned(make_app: MakeApp) -> None:
    options = Outbox(max_bytes=200_000, when_full="block", prune="applied")
    app = make_app(options=options)
    recorded: list[int] = []

    def record() -> None:
        for number in range(600):
            app.ferry.record(opened(str(number))).durable(DEADLINE_S)
            recorded.append(number)

    recording = threading.Thread(target=record, daemon=True)
    recording.start()
    until(lambda: app.ferry._commit._limits.full is not None, "the outbox is full")

    def let_go() -> bool:
        heads = app.ferry._outbox.heads()
        sent(app, sum(head.seq for head in heads.values()))
        app.ferry.pruning.allow({p: head.seq for p, head in heads.items()})
        return len(recorded) == 600

    until(let_go, "everything is recorded")
    recording.join(DEADLINE_S)
    assert app.path.stat().st_size < 600_000


def test_a_disk_with_no_room_for_pruning_does_not_halt_the_app(path: Path) -> None:
    disk = WatchedDisk()
    outbox = filled(path)
    disk.write_error = apsw.FullError("the disk is full")
    safe = Safe(31, {0: 10, 1: 10, 2: 10})

    assert outbox.prune(safe, 100, KEPT_S) == 0

    disk.mend()
    assert outbox.prune(safe, 100, KEPT_S) == 30
    outbox.append([Item(0, "account/a", "a")])
    outbox.close()
    disk.unregister()
    assert check_whole(path) == (2, [])


def test_nothing_is_pruned_unless_told(make_app: MakeApp) -> None:
    app = make_app()
    app.ferry.record(opened("a")).durable(DEADLINE_S)
    sent(app, 1)

    assert not app.ferry.pruning.wanted
    app.ferry.pruning.ask(None, IDENTITY)  # type: ignore[arg-type]

    assert len(rows_of(app.path)) == 1


def test_what_every_projection_has_applied_is_asked_of_the_database(
    make_writer: Callable[..., Writer], settings: object, database: psycopg.Connection[object]
) -> None:
    writer = make_writer()
    asked: list[dict[int, int]] = []
    writer.ferry.pruning.wanted = True
    writer.ferry.pruning.allow = asked.append  # type: ignore[method-assign,assignment]
    writer.ferry.record(opened("a")).durable(DEADLINE_S)
    writer.ferry.record_control(SnapshotCompleted("app-1", 1, 1)).durable(DEADLINE_S)
    writer.apply()

    def ask() -> dict[int, int]:
        writer.ferry.pruning._next_ask = 0.0
        writer.ferry.pruning.ask(database, writer.ferry.identity)
        return asked[-1]

    applied = {p: h.seq for p, h in writer.ferry._outbox.heads().items() if p >= 0}
    assert ask() == {0: 0, 1: 0, 2: 0} | applied
    database.execute(
        "INSERT INTO memferry.projection (name, schema_name, topic, generation, partitions, state) "
        "VALUES (%(other)s, %(other)s, %(topic)s, 1, 3, 'rebuilding')",
        {"other": f"{writer.projection}_2", "topic": writer.settings.topic},
    )
    database.execute(
        "INSERT INTO memferry.checkpoint (projection, partition, term, next_offset) "
        "SELECT %s, p, 1, 0 FROM generate_series(0, 2) AS p",
        (f"{writer.projection}_2",),
    )
    assert ask() == {0: 0, 1: 0, 2: 0}
    database.execute(
        "INSERT INTO memferry.beside (name, projection, purpose) VALUES (%s, %s, 'shadow')",
        (f"{writer.projection}_2", writer.projection),
    )
    assert ask() == {0: 0, 1: 0, 2: 0} | applied  # it is filled from the log
    database.execute("DELETE FROM memferry.beside WHERE name = %s", (f"{writer.projection}_2",))
    database.execute(
        "UPDATE memferry.projection SET state = 'held' WHERE name = %s",
        (f"{writer.projection}_2",),
    )
    assert ask() == {0: 0, 1: 0, 2: 0} | applied
    database.execute(
        "UPDATE memferry.projection SET state = 'held' WHERE topic = %s", (writer.settings.topic,)
    )
    assert ask() == {}
