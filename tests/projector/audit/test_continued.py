"""A fold kept from one audit to the next: what a whole one gives, or not gone on with."""

import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import apsw
import pytest

from projector.audit.fold_store import FoldInUse, FoldStore
from projector.audit.log_fold import LogFold
from projector.log import Log, LogReplaced
from schemas.domain import Domain
from schemas.errors import FerryError
from schemas.mend import Mend
from schemas.settings import Settings
from tests.domains.ledger import ACCOUNT, DOMAIN, READING
from tests.projector.app import App, accounts_in
from tests.projector.broker import Broker
from tests.projector.projecting import ends

A, B = accounts_in(1, 2)
Rows = dict[str, set[tuple[str, int]]]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "audit" / "ledger.fold"


def log_of(settings: Settings) -> Log:
    return Log(settings, f"{settings.topic}.1")


def rows_of(fold: LogFold) -> Rows:
    return {t: {(row.key, row.digest) for row in fold.state.rows(t)} for t in DOMAIN.tables}


async def fold(
    settings: Settings,
    path: Path | None,
    domain: Domain = DOMAIN,
    mends: tuple[Mend, ...] = (),
    until: dict[int, int] | None = None,
) -> tuple[int, Rows, LogFold]:
    """Fold to the log's end, write the store; return how many events that took, and the rows."""
    store = FoldStore(path)
    folded = LogFold(domain, 1, {"app-1"}, mends, store)
    try:
        async with log_of(settings) as log:
            await folded.read_to(log, until or await ends(settings))
        return folded.events, rows_of(folded), folded
    finally:
        store.close()


def trade(app: App, number: int) -> None:
    app.open(f"acc-{number}")
    app.deposit(f"acc-{number}", 1)
    for taken in range(3):
        app.read(f"meter-{number % 3}", 3 * number + taken)
    if number % 3 == 2:
        app.end(f"acc-{number}")


async def test_what_goes_on_from_an_earlier_fold_is_what_a_whole_one_gives(
    app: App, broker: Broker, topic: Settings, path: Path
) -> None:
    sent = 0
    for stage in range(4):
        for number in range(3):
            trade(app, 2 * (3 * stage + number))
        rows = app.rows()
        broker.publish(topic, rows[sent:])
        sent = len(rows)
        events, continued, _ = await fold(topic, path)

    whole_events, whole, _ = await fold(topic, None)

    assert continued == whole
    assert len(whole["readings"]) == 36
    assert 0 < events < whole_events


async def test_each_partition_goes_on_from_its_own_place(
    app: App, broker: Broker, topic: Settings, path: Path
) -> None:
    for number in range(9):
        trade(app, 2 * number)
    broker.publish(topic, app.rows())
    there = await ends(topic)
    half = {partition: end // 2 for partition, end in there.items()}

    first, _, _ = await fold(topic, path, until=half)
    second, continued, _ = await fold(topic, path)

    assert first == sum(half.values())
    assert second == sum(there.values()) - first
    assert continued == (await fold(topic, None))[1]


async def test_a_fold_that_died_between_two_steps_goes_on_from_the_last(
    app: App, broker: Broker, topic: Settings, path: Path
) -> None:
    app.open(A, B)
    app.deposit(A, 1)
    broker.publish(topic, app.rows())
    store = FoldStore(path)
    dying = LogFold(DOMAIN, 1, {"app-1"}, (), store)
    async with log_of(topic) as log:
        await dying.read_to(log, {1: 2})
        dying.commit()
        await dying.read_to(log, {1: 3})
    store.close()  # without another commit, as a kill leaves it

    events, rows, _ = await fold(topic, path)

    assert events == 1
    assert rows == (await fold(topic, None))[1]


def evolve(account: Any, event: Any) -> Any:
    return ACCOUNT.evolve(account, event)


@pytest.mark.parametrize(
    "domain",
    [
        Domain("ledger", (replace(ACCOUNT, evolve=evolve), READING),
               DOMAIN.ddl),
        Domain("other", (ACCOUNT, READING), DOMAIN.ddl),
    ],
    ids=["code", "domain"],
)  # fmt: skip
async def test_what_other_code_folded_is_folded_anew(
    app: App, broker: Broker, topic: Settings, path: Path, domain: Domain
) -> None:
    trade(app, 0)
    broker.publish(topic, app.rows())
    first, rows, _ = await fold(topic, path)

    again, anew, _ = await fold(topic, path, domain)
    kept, _, _ = await fold(topic, path, domain)

    assert (again, kept) == (first, 0)
    assert anew == rows


async def test_a_new_kind_is_no_reason_to_begin_anew_unless_something_did_not_fold(
    app: App, broker: Broker, topic: Settings, path: Path
) -> None:
    app.open(A)
    broker.publish(topic, app.rows())
    part = Domain("ledger", (ACCOUNT,), DOMAIN.ddl)
    await _fold_tables(topic, path, part)
    kept, _, _ = await fold(topic, path)
    app.read("m", 1)
    broker.publish(topic, app.rows())
    await _fold_tables(topic, path.with_name("other"), part)

    anew, rows, folded = await fold(topic, path.with_name("other"))

    assert (kept, anew) == (0, 2)
    assert folded.failures == {}
    assert {key for key, _ in rows["readings"]} == {"m/1"}


async def _fold_tables(settings: Settings, path: Path, domain: Domain) -> None:
    store = FoldStore(path)
    folded = LogFold(domain, 1, {"app-1"}, (), store)
    async with log_of(settings) as log:
        await folded.read_to(log, await ends(settings))
    folded.commit()
    store.close()


async def test_what_did_not_fold_stays_known(
    app: App, broker: Broker, topic: Settings, path: Path
) -> None:
    app.open(A)
    app.read("m", 1)
    broker.publish(topic, app.rows())
    part = Domain("ledger", (ACCOUNT,), DOMAIN.ddl)
    await _fold_tables(topic, path, part)
    store = FoldStore(path)

    again = LogFold(part, 1, {"app-1"}, (), store)
    store.close()

    (stream,) = again.failures
    assert stream == "reading/m"
    assert "ledger.reading.taken.v1" in again.failures[stream].what


@pytest.mark.parametrize(("at", "anew"), [(0, True), (1, True), (7, False)])
async def test_a_mend_of_what_was_read_makes_it_begin_anew(
    app: App, broker: Broker, topic: Settings, path: Path, at: int, anew: bool
) -> None:
    app.open(A, B)
    broker.publish(topic, app.rows())
    await fold(topic, path)
    store = FoldStore(path)

    mended = LogFold(DOMAIN, 1, {"app-1"}, [Mend(1, 1, at, ignore=(at,))], store)
    store.close()

    assert mended.offsets == ({} if anew else {1: 2})


async def test_a_topic_that_is_another_one_by_now_is_not_gone_on_with(
    app: App, broker: Broker, topic: Settings, path: Path
) -> None:
    app.open(A)
    first = app.rows()
    app.deposit(A, 1)
    rows = app.rows()
    broker.publish(topic, first)
    await fold(topic, path)
    broker.drop_topic(topic)
    broker.make_topics(topic, control=False)
    second = [row.event for row in rows if row.partition == 1][1]
    broker.send(topic, 1, [second, second])
    left: list[tuple[int, FerryError]] = []

    def leave(partition: int, error: FerryError) -> bool:
        left.append((partition, error))
        return True

    store = FoldStore(path)
    folded = LogFold(DOMAIN, 1, {"app-1"}, (), store)

    async with log_of(topic) as log:
        await folded.read_to(log, {1: 2}, leave)
    store.close()

    ((partition, error),) = left
    assert (partition, type(error)) == (1, LogReplaced)


def test_a_damaged_file_is_made_anew(path: Path) -> None:
    FoldStore(path).close()
    path.write_bytes(b"no database" * 1_000)

    store = FoldStore(path)

    assert store.places() == {}
    store.close()


def test_a_file_of_another_format_is_made_anew(path: Path) -> None:
    FoldStore(path).close()
    db = apsw.Connection(str(path))
    db.execute("UPDATE meta SET value = 'x' WHERE name = 'format'")
    db.execute("INSERT INTO place VALUES (0, 7, '')")
    db.close()

    store = FoldStore(path)

    assert store.places() == {}
    store.close()


def test_two_audits_do_not_share_a_fold_and_the_second_waits(path: Path) -> None:
    first = FoldStore(path)
    with pytest.raises(FoldInUse) as in_use:
        FoldStore(path)
    ending = threading.Timer(0.05, first.close)
    ending.start()

    FoldStore(path, patience_s=10).close()

    ending.join()
    assert in_use.value.where == str(path)


def test_a_directory_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    with pytest.raises(FerryError) as refused:
        FoldStore(tmp_path / "file" / "ledger.fold")

    assert "audit.directory" in refused.value.remedy


def test_a_temporary_fold_leaves_nothing() -> None:
    store = FoldStore(None)
    place = store.path.parent

    store.close()

    assert not place.exists()
