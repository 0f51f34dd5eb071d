"""`memferry parked` as operators meet it."""

import os
import signal
from collections.abc import Callable, Iterator
from typing import Any

import psycopg
import pytest

from projector.parked import parked_streams
from tests.compose.cli.conftest import Done, Ledger, Running
from tests.projector.app import tables
from tests.projector.migration.stage import DEADLINE_S, Stage
from tests.projector.parking_by_hand import REASON, park, unpark
from tests.projector.waiting import until, until_blocked_by

Command = Callable[..., Done]
WIDTH = 80
LONG = "account/" + "a-name-that-is-long-" * 5


@pytest.fixture
def parked(projected: Ledger, database: psycopg.Connection[Any]) -> Iterator[Ledger]:
    """Three events of two streams are parked; no projector runs."""
    name = projected.settings.projection
    long = f"the handler of 'ledger.account.deposited.v1' failed: {'KeyError and so on, ' * 6}"
    park(database, name, "account/a", seq=3, partition=1, offset=5)
    park(
        database, name, "account/a", seq=4, partition=1, offset=6, behind=True,
        reason="waits behind an earlier event of its stream",
    )  # fmt: skip
    park(database, name, LONG, seq=9, partition=2, offset=5, reason=long)
    yield projected
    unpark(database, name)


def test_list_groups_by_stream_with_count_first_reason_and_since(
    parked: Ledger, memferry: Command
) -> None:
    shown = memferry("parked", "list", environment=parked.environment)
    document = memferry("parked", "list", "--json", environment=parked.environment)

    assert (shown.code, document.code) == (1, 1)
    lines = shown.out.splitlines()
    assert lines[0].startswith("account/a  2 events since 20")
    assert lines[1:3] == [
        f"  {REASON}",
        "  ledger.account.deposited.v1, partition 1, offset 5",
    ]
    assert lines[3].startswith(f"{LONG}  1 event since 20")
    assert all(len(line) <= WIDTH for line in lines[4:-2])
    assert "memferry parked retry STREAM" in lines[-1]
    first = document.json()[0]
    assert (first["stream"], first["events"], first["reason"]) == ("account/a", 2, REASON)


@pytest.mark.parametrize("named", ["account/a", "1:5", "5"])
def test_show_prints_reason_place_and_the_event_itself(
    parked: Ledger, memferry: Command, named: str
) -> None:
    shown = memferry("parked", "show", named, environment=parked.environment)
    document = memferry("parked", "show", named, "--json", environment=parked.environment)

    assert (shown.code, document.code) == (0, 0)
    assert "account/a  ledger.account.deposited.v1, seq 3" in shown.out
    assert f"  {REASON}" in shown.out
    assert "table accounts; lane app-1/g1/p1, seq 3" in " ".join(shown.out.split())
    assert '  "subject": "account/a",\n  "data": {\n    "account": "a",' in shown.out
    assert document.json()[0]["event"]["data"] == {"account": "a", "amount": "1"}
    assert len(document.json()) == {"account/a": 2, "1:5": 1, "5": 2}[named]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("show", "account/nobody"), "nothing is parked under 'account/nobody'"),
        (("show", "0:5"), "nothing is parked under '0:5'"),
        (("retry",), "name the streams to retry, or --all of them"),
        (("retry", "account/a", "--all"), "name the streams to retry, or --all of them"),
        (("retry", "account/nobody"), "no event of stream 'account/nobody' is parked"),
        (("retry", "--all"), "start `memferry project`"),
    ],
)
def test_what_cannot_be_done_says_what_can(
    parked: Ledger, memferry: Command, arguments: tuple[str, ...], said: str
) -> None:
    done = memferry("parked", *arguments, environment=parked.environment)

    assert (done.code, done.out) == (2, "")
    assert said in done.said


def test_status_names_the_parked_streams_and_exits_with_1(
    parked: Ledger, memferry: Command
) -> None:
    shown = memferry("status", environment=parked.environment)
    document = memferry("status", "--json", environment=parked.environment)

    assert (shown.code, document.code) == (1, 1)
    assert "parked: 3 events of 2 streams" in shown.out
    assert f": {REASON}" in shown.out
    assert [p["stream"] for p in document.json()["parked"]] == ["account/a", LONG]


def test_nothing_parked_is_said_with_0(projected: Ledger, memferry: Command) -> None:
    listed = memferry("parked", "list", environment=projected.environment)
    retried = memferry("parked", "retry", "--all", environment=projected.environment)

    assert (listed.code, retried.code) == (0, 0)
    assert listed.out == retried.out == "nothing is parked\n"


def test_a_replay_that_parks_says_so_and_exits_with_1(
    projected: Ledger, memferry: Command, database: psycopg.Connection[Any]
) -> None:
    accounts = f"{projected.settings.projection}.accounts"
    database.execute(f"ALTER TABLE {accounts} ADD CONSTRAINT few CHECK (balance < 5) NOT VALID")

    parking = memferry("replay", "--to-end", "--in-place", environment=projected.environment)
    database.execute(f"ALTER TABLE {accounts} DROP CONSTRAINT few")
    mended = memferry("replay", "--to-end", "--in-place", environment=projected.environment)
    listed = memferry("parked", "list", environment=projected.environment)

    assert (parking.code, mended.code, listed.code) == (1, 0, 0)
    assert "9 events of 9 streams are parked" in parking.said
    assert "memferry parked list" in parking.said


def test_a_retry_of_a_projector_that_is_killed_in_it_is_done_by_the_next_one(
    projected: Ledger,
    memferry: Command,
    start: Callable[..., Running],
    database: psycopg.Connection[Any],
) -> None:
    settings, environment = projected.settings, projected.environment
    accounts = f"{settings.projection}.accounts"
    database.execute(f"ALTER TABLE {accounts} ADD CONSTRAINT few CHECK (balance < 5) NOT VALID")
    memferry("replay", "--to-end", "--in-place", environment=environment)
    database.execute(f"ALTER TABLE {accounts} DROP CONSTRAINT few")
    projector = start("project", environment=environment)
    holder = "SELECT FROM memferry.checkpoint WHERE projection = %s AND holder LIKE %s"
    mark = (settings.projection, f"% process {projector.pid}")
    until(lambda: database.execute(holder, mark).rowcount == 3, "a projector at work", DEADLINE_S)

    with psycopg.connect(settings.postgres.dsn) as blocking:
        blocking.execute(f"LOCK TABLE {accounts} IN ACCESS EXCLUSIVE MODE")
        retry = start("parked", "retry", "--all", environment=environment)
        until_blocked_by(database, blocking)
        os.kill(projector.pid, signal.SIGKILL)
    start("project", environment=environment)
    done = retry.done()

    assert done.code == 0, done.err
    assert len(done.out.splitlines()) == 9
    assert all(line.endswith("1 applied, 0 stay") for line in done.out.splitlines())
    assert tables(database, settings.projection) == projected.app.expected()
    assert parked_streams(database, settings.projection) == []


def test_a_running_projector_applies_what_is_retried_and_says_what_stays(
    trading: Stage, commands: Command, database: psycopg.Connection[Any]
) -> None:
    accounts = f"{trading.settings.projection}.accounts"
    database.execute(f"ALTER TABLE {accounts} ADD CONSTRAINT poor CHECK (balance < 50)")
    for name in ("w-1", "w-2"):
        balance = trading.accounts[name].balance
        while balance < 51:
            balance += 1
            trading.deposit(name)
    until(lambda: commands("parked", "list").out.count("since") == 2, "two streams parked", 20)

    refused = commands("parked", "retry", "account/w-1")
    database.execute(f"ALTER TABLE {accounts} DROP CONSTRAINT poor")
    retried = commands("parked", "retry", "--all")

    assert refused.code == 1
    assert "account/w-1  0 applied, 2 stay" in refused.out
    assert "poor" in refused.out
    assert "1 of 1 streams still wait" in refused.said
    assert retried.code == 0
    assert sorted(retried.out.splitlines()) == [
        "account/w-1  2 applied, 0 stay", "account/w-2  2 applied, 0 stay"
    ]  # fmt: skip
    trading.deposit("w-1").applied(DEADLINE_S)
    assert commands("audit").code == 0
