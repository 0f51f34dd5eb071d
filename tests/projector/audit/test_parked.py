"""An audit over parked streams: what is known to differ is said to, and nothing passes as clean."""

from dataclasses import replace
from typing import Any

import psycopg
import pytest

from projector.audit.compare import Finding, with_reasons
from projector.audit.result import AuditResult
from projector.audit.run import audit as run_audit
from projector.parked import parked_streams
from schemas.domain import Domain, TransitionRefused
from schemas.lane import partition_of
from schemas.settings import Settings
from tests.domains.ledger import ACCOUNT, DOMAIN, READING, AmountDeposited
from tests.projector.audit.conftest import Live
from tests.projector.parking_by_hand import park
from tests.projector.projecting import eventually

Database = psycopg.Connection[Any]


async def audit(settings: Settings, domain: Domain = DOMAIN) -> AuditResult:
    return await run_audit(settings, domain, timeout_s=20)


@pytest.mark.usefixtures("projector")
async def test_rows_of_a_parked_stream_differ_for_a_known_reason_and_the_audit_is_not_clean(
    live: Live, settings: Settings, database: Database
) -> None:
    name = settings.projection
    database.execute(f"ALTER TABLE {name}.accounts ADD CHECK (balance < 100)")
    live.deposit("a", 500)
    live.deposit("a", 1)
    live.deposit("b", 1).durable(5)
    await eventually(lambda: parked_streams(database, name), "an event parked")

    result = await audit(settings)

    (finding,) = result.findings
    assert str(finding) == (
        "tables: table accounts, key a (stream account/a): differs, since events of it are parked"
    )
    assert [parked.stream for parked in result.parked] == ["account/a"]
    assert "accounts_balance_check1" in result.parked[0].reason
    assert result.equal == {"accounts": False, "readings": True}
    assert not result.all_equal


@pytest.mark.usefixtures("projector")
async def test_a_parked_event_that_no_row_shows_keeps_the_audit_from_being_clean(
    settings: Settings, database: Database
) -> None:
    park(database, settings.projection, "account/b", seq=99, partition=0)

    result = await audit(settings)

    assert result.findings == []
    assert not result.all_equal
    (parked,) = result.parked
    assert (parked.stream, parked.reason) == (
        "account/b", "a row is inserted that is there already"
    )  # fmt: skip


def evolve(present: Any, event: Any) -> Any:
    if isinstance(event, AmountDeposited):
        raise TransitionRefused("no deposits any more")
    return ACCOUNT.evolve(present, event)


@pytest.mark.usefixtures("projector")
async def test_the_log_need_not_fold_over_what_is_parked_and_must_over_all_else(
    settings: Settings, database: Database
) -> None:
    refusing = Domain("ledger", (replace(ACCOUNT, evolve=evolve), READING), DOMAIN.ddl)

    unexplained = await audit(settings, refusing)
    place = partition_of("account/a", 3)
    park(database, settings.projection, "account/a", seq=99, partition=place)
    result = await audit(settings, refusing)

    (broken,) = (f for f in unexplained.findings if f.witness == "log")
    assert (broken.problem, broken.stream) == ("broken", "account/a")
    assert "no deposits any more" in broken.detail
    assert f"partition {place}, offset" in broken.key
    assert {(f.witness, f.key, f.problem, f.parked) for f in result.findings} == {
        ("tables", "a", "differs", True), ("memory", "a", "differs", True)
    }  # fmt: skip


@pytest.mark.parametrize(
    ("finding", "parked"),
    [
        (Finding("tables", "differs", "accounts", "a", "account/a"), True),
        (Finding("tables", "differs", "accounts", "b", "account/b"), False),
        (Finding("tables", "extra", "accounts", "a"), True),
        (Finding("tables", "extra", "accounts", "a/b"), False),
        (Finding("memory", "extra", "readings", "m-0/7"), True),
        (Finding("memory", "extra", "readings", "m-1/7"), False),
    ],
)
def test_a_row_that_the_log_lacks_is_accounted_for_by_its_key(
    finding: Finding, parked: bool
) -> None:
    (found,) = with_reasons([finding], {"account/a", "reading/m-0"}, DOMAIN)

    assert found.parked is parked
