"""Parked streams applied again on request: once, in order, whoever dies, and on record."""

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import psycopg
import pytest

from projector.control_tables import Projection, set_state
from projector.parked import NothingParked, parked_streams
from projector.parked_asking import ProjectorMissing, ProjectorSilent, retry_parked
from projector.parked_retry import answer_retries
from schemas.requests import RetryAnswer
from schemas.settings import Settings
from tests.projector.app import App, accounts_in, tables
from tests.projector.parking_by_hand import park
from tests.projector.segments import Worker
from tests.projector.waiting import until

Database = psycopg.Connection[Any]
B, D, A = accounts_in(0, 3)
(C,) = accounts_in(1, 1)
DEADLINE_S = 20.0


@pytest.fixture
def operator(settings: Settings) -> Iterator[Database]:
    """The connection of a command that asks."""
    with psycopg.connect(settings.postgres.dsn, autocommit=True) as conn:
        yield conn


@pytest.fixture
def asking(operator: Database, projection: Projection) -> Iterator[Callable[..., Any]]:
    """Ask in a thread, as a command does."""
    with ThreadPoolExecutor(1) as thread:

        def ask(*streams: str, timeout_s: float = DEADLINE_S) -> "Future[list[RetryAnswer]]":
            return thread.submit(
                retry_parked, operator, projection.name, streams or None, timeout_s
            )

        yield ask


@pytest.fixture
def parked(app: App, database: Database, projection: Projection) -> Worker:
    """A projector that parked all that it was given of three accounts, and applied a fourth."""
    database.execute(f"ALTER TABLE {projection.name}.accounts ADD CHECK (owner <> 'Mallory')")
    app.open(C, A, D, owner="Mallory")
    app.open(B)
    for amount in (1, 2, 3):
        app.deposit(A, amount)
    app.deposit(C, 5)
    app.deposit(D, 1)
    hold = "SELECT pg_advisory_lock_shared(hashtextextended('memferry projection ' || %s, 0))"
    database.execute(hold, (projection.name,))  # as a projector does
    worker = Worker(database, projection)
    worker.transactions.apply(worker.segments(app))
    return worker


def mend(database: Database, projection: Projection) -> None:
    database.execute(f"ALTER TABLE {projection.name}.accounts DROP CONSTRAINT accounts_owner_check")


def asked(database: Database, projection: Projection) -> int:
    rows = database.execute(
        "SELECT FROM memferry.request WHERE projection = %s AND kind = 'retry' AND state = 'asked'",
        (projection.name,),
    )
    return rows.rowcount


def answered(database: Database, projection: Projection, worker: Worker) -> list[RetryAnswer]:
    """Wait until somebody asks, then do what the projector does."""
    until(lambda: asked(database, projection), "a request")
    return answer_retries(database, worker.claim, worker.transactions)


def trail(database: Database, projection: Projection) -> list[tuple[str, Any, Any]]:
    rows = database.execute(
        "SELECT action, before, after FROM memferry.trail WHERE action LIKE '%%parked%%' "
        "AND coalesce(before ->> 'projection', after ->> 'projection') = %s ORDER BY id",
        (projection.name,),
    )
    return rows.fetchall()


def test_mended_streams_are_applied_in_the_order_of_the_log_and_the_trail_says_so(
    app: App, database: Database, projection: Projection, parked: Worker, asking: Callable[..., Any]
) -> None:
    mend(database, projection)

    told = asking()
    done = answered(database, projection, parked)

    first, *others = [answer.stream for answer in done if answer.stream != f"account/{C}"]
    assert (first, others) == (f"account/{A}", [f"account/{D}"])  # not by name: by offset
    assert {(answer.stream, answer.applied, answer.left) for answer in done} == {
        (f"account/{A}", 4, 0), (f"account/{C}", 2, 0), (f"account/{D}", 2, 0)
    }  # fmt: skip
    assert sorted(told.result(DEADLINE_S), key=str) == sorted(done, key=str)
    assert tables(database, projection.name) == app.expected()
    assert parked_streams(database, projection.name) == []
    asked_for, *retried = trail(database, projection)
    assert asked_for[0] == "retry of parked streams asked"
    assert asked_for[1] == {"streams": 3, "events": 8}
    assert set(asked_for[2]["streams"]) == {f"account/{name}" for name in (A, C, D)}
    assert [(action, after["applied"], after["left"]) for action, _, after in retried] == [
        ("parked stream retried", answer.applied, 0) for answer in done
    ]
    assert all("@" in after["asked_by"] for _, _, after in retried)
    assert answer_retries(database, parked.claim, parked.transactions) == []


def test_what_is_refused_again_stays_and_the_reason_is_told(
    database: Database, projection: Projection, parked: Worker, asking: Callable[..., Any]
) -> None:
    told = asking(f"account/{A}")

    answered(database, projection, parked)

    (answer,) = told.result(DEADLINE_S)
    assert (answer.stream, answer.applied, answer.left) == (f"account/{A}", 0, 4)
    assert "accounts_owner_check" in answer.reason
    assert {p.stream: p.events for p in parked_streams(database, projection.name)} == {
        f"account/{A}": 4, f"account/{C}": 2, f"account/{D}": 2
    }  # fmt: skip
    assert trail(database, projection)[-1][2]["left"] == 4


class Dies:
    """A projector that ends behind its retry and before the commit."""

    def __init__(self, worker: Worker) -> None:
        self._worker = worker

    def retry(self, stream: str) -> Any:
        self._worker.transactions.retry(stream)
        raise psycopg.OperationalError("the server went away")


def test_a_projector_that_dies_in_a_retry_leaves_it_to_the_next_one(
    app: App, database: Database, projection: Projection, parked: Worker, asking: Callable[..., Any]
) -> None:
    mend(database, projection)
    told = asking(f"account/{A}")
    until(lambda: asked(database, projection), "a request")
    dies: Any = Dies(parked)

    with pytest.raises(psycopg.OperationalError):
        answer_retries(database, parked.claim, dies)
    left = [p.stream for p in parked_streams(database, projection.name)]
    again = Worker(database, projection)
    answer_retries(database, again.claim, again.transactions)

    assert f"account/{A}" in left
    assert told.result(DEADLINE_S) == [RetryAnswer(f"account/{A}", 4, 0, "")]
    assert (A, "Mallory") in {row[:2] for row in tables(database, projection.name)["accounts"]}
    assert [action for action, *_ in trail(database, projection)].count(
        "parked stream retried"
    ) == 1


def test_a_request_for_a_partition_that_another_one_has_is_left_alone(
    database: Database, projection: Projection, parked: Worker, asking: Callable[..., Any]
) -> None:
    mend(database, projection)
    told = asking(f"account/{C}")
    until(lambda: asked(database, projection), "a request")
    del parked.claim.terms[1]

    assert answer_retries(database, parked.claim, parked.transactions) == []

    other = Worker(database, projection)
    answer_retries(database, other.claim, other.transactions)
    assert told.result(DEADLINE_S)[0].applied == 2


def test_a_request_that_nobody_takes_up_is_taken_back(
    database: Database, projection: Projection, parked: Worker, asking: Callable[..., Any]
) -> None:
    with pytest.raises(ProjectorSilent, match=f"account/{A}.*no answer in 0.1 s") as silent:
        asking(f"account/{A}", timeout_s=0.1).result(DEADLINE_S)

    assert "memferry status" in silent.value.remedy
    assert asked(database, projection) == 0


def test_without_a_projector_a_retry_is_refused_and_nothing_is_asked(
    database: Database, projection: Projection, operator: Database
) -> None:
    park(database, projection.name, f"account/{A}", seq=1, partition=0)

    with pytest.raises(ProjectorMissing, match="no projector applies") as missing:
        retry_parked(operator, projection.name, None, DEADLINE_S)
    set_state(database, projection.name, "held", "a look back")
    with pytest.raises(ProjectorMissing, match="is held") as held:
        retry_parked(operator, projection.name, None, DEADLINE_S)

    assert "memferry project" in missing.value.remedy
    assert "memferry resume" in held.value.remedy
    assert asked(database, projection) == 0
    assert trail(database, projection) == []


def test_a_stream_that_is_not_parked_is_named_and_all_of_none_is_nothing_to_do(
    operator: Database, projection: Projection
) -> None:
    with pytest.raises(NothingParked, match="account/nobody"):
        retry_parked(operator, projection.name, ["account/nobody"], DEADLINE_S)

    assert retry_parked(operator, projection.name, None, DEADLINE_S) == []
