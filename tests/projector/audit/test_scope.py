"""What an audit is asked to look at: some tables, a position, the whole log."""

from typing import Any

import psycopg
import pytest

from projector.audit import against_tables
from projector.audit.result import AuditResult
from projector.audit.run import audit as run_audit
from projector.audit.scope import PositionPassed, TableUnknown
from schemas.settings import Settings
from tests.domains.ledger import DOMAIN
from tests.projector.audit.conftest import Live
from tests.projector.projecting import ends


async def audit(settings: Settings, *, memory: bool = True, timeout_s: float = 20) -> AuditResult:
    return await run_audit(settings, DOMAIN, with_memory=memory, timeout_s=timeout_s)


def said(result: AuditResult) -> set[str]:
    return {str(finding) for finding in result.findings}


@pytest.mark.usefixtures("projector")
async def test_only_the_tables_that_are_named_are_compared(
    live: Live, settings: Settings, database: psycopg.Connection[Any]
) -> None:
    live.forge("a")
    database.execute(f"DELETE FROM {settings.projection}.readings")

    named = await run_audit(settings, DOMAIN, tables=["readings"])

    assert named.equal == {"readings": False}
    assert {finding.table for finding in named.findings} == {"readings"}
    with pytest.raises(TableUnknown, match="'trades'") as unknown:
        await run_audit(settings, DOMAIN, tables=["trades"])
    assert "accounts, readings" in unknown.value.remedy


@pytest.mark.usefixtures("projector")
async def test_tables_emptied_by_hand_are_counted_whole_and_named_up_to_a_bound(
    live: Live, settings: Settings, database: psycopg.Connection[Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr(against_tables, "FINDINGS_MOST", 2)
    database.execute(f"TRUNCATE {settings.projection}.accounts, {settings.projection}.readings")

    result = await audit(settings, memory=False)

    assert len(result.findings) == 2
    assert result.unnamed == 4 + 5 - 2
    assert result.table_rows == {"accounts": 0, "readings": 0}


@pytest.mark.usefixtures("projector")
async def test_a_full_audit_reads_the_log_from_its_beginning(
    live: Live, settings: Settings
) -> None:
    first = await audit(settings)

    full = await run_audit(settings, DOMAIN, full=True, timeout_s=20)

    assert full.all_equal
    assert (full.continued_from, full.events) == ("", first.events + 3)


@pytest.mark.usefixtures("projector")
async def test_tables_are_compared_at_the_position_that_is_asked_for(
    live: Live, settings: Settings
) -> None:
    there = await ends(settings)

    at = await run_audit(settings, DOMAIN, with_memory=False, position=there)

    assert at.all_equal
    assert at.position == ",".join(f"{p}:{o}" for p, o in there.items())
    with pytest.raises(PositionPassed) as passed:
        await run_audit(settings, DOMAIN, with_memory=False, position=there | {0: 0, 1: 0, 2: 0})
    assert "`memferry rollback --to-offset 0:0,1:0,2:0`" in passed.value.remedy


@pytest.mark.usefixtures("projector")
async def test_without_memory_only_the_tables_are_compared(live: Live, settings: Settings) -> None:
    live.forge("a")

    result = await audit(settings, memory=False)

    assert result.all_equal
    assert not result.memory_compared
    assert result.memory_rows == {}
