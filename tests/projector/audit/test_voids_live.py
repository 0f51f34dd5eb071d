"""Audits of a running app while ends of its streams are voided."""

import asyncio
import threading

from projector.audit.result import AuditResult
from projector.audit.run import audit
from projector.replay.target import Target
from projector.replay.voiding import void_tail
from projector.runner import Projector
from schemas.position import format_offsets
from schemas.settings import Settings
from tests.domains.ledger import DOMAIN
from tests.projector.audit.conftest import Live
from tests.projector.projecting import ends


async def test_memory_log_and_tables_are_equal_before_during_and_behind_a_void(
    live: Live, settings: Settings, projector: Projector
) -> None:
    done = threading.Event()
    results: list[AuditResult] = []

    def trade() -> None:
        number = 0
        while not done.wait(0.01):
            number += 1
            live.open(f"new-{number}")

    async def look() -> None:
        results.append(await audit(settings, DOMAIN, timeout_s=60))

    async def audits() -> None:
        while not done.is_set():
            await look()

    target = Target(offset=format_offsets(await ends(settings)))
    live.deposit("a", 7).durable(5)
    thread = threading.Thread(target=trade)
    thread.start()
    auditing = asyncio.create_task(audits())
    try:
        voided = await void_tail(settings, DOMAIN, target, reason="a mistake")
    finally:
        done.set()
        thread.join(10)
        await asyncio.wait_for(auditing, 60)
    await look()

    assert [result.findings for result in results] == [[]] * len(results)
    assert {tuple(result.voids) for result in results} == {(), (voided.void,)}
    assert results[-1].voids == [voided.void]
    assert live.accounts["a"].balance == 5
    assert projector.progress.stopped == {}
