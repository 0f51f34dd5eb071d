"""Receipts: what they promise, and when it is true."""

import asyncio

import pytest

from eventlog.receipts import Capability, ReceiptTimeout, Watermark
from tests.eventlog.app import DEADLINE_S, App, BusyDisk, opened


async def test_a_receipt_is_durable_once_the_disk_has_it(app: App) -> None:
    with BusyDisk(app.path):
        receipt = app.ferry.record(opened("a"))

        for wait in (receipt.durable, lambda t: asyncio.run(receipt.until_durable(t))):
            with pytest.raises(ReceiptTimeout) as caught:
                await asyncio.to_thread(wait, 0.01)
            assert "is not durable after 0.01 s" in caught.value.what
            assert "account/a" in caught.value.where
            assert caught.value.remedy
        assert receipt.seq == 0

    await receipt.until_durable(DEADLINE_S)
    receipt.durable(0)
    assert (receipt.row, receipt.seq) == (1, 1)


async def test_a_promise_that_nobody_can_keep_is_refused(app: App) -> None:
    receipt = app.ferry.record(opened("a"))

    with pytest.raises(Capability, match="not attached to a relay"):
        receipt.replicated(0)
    with pytest.raises(Capability, match="not attached to a relay"):
        await receipt.until_replicated(0)
    with pytest.raises(Capability, match="no control connection") as caught:
        receipt.applied(DEADLINE_S)
    with pytest.raises(Capability, match="no control connection"):
        await receipt.until_applied(DEADLINE_S)
    assert caught.value.remedy


async def test_replicated_and_applied_wait_for_marks_of_their_own(app: App) -> None:
    receipt = app.ferry.record(opened("a"))
    receipt.durable(DEADLINE_S)
    sent, applied = Watermark(), Watermark()
    app.ferry.promises.serve_replicated(sent)
    app.ferry.promises.serve_applied({receipt.partition: applied})

    for promise in (receipt.replicated, receipt.applied):
        with pytest.raises(ReceiptTimeout):
            promise(0.01)
    for waiting in (receipt.until_replicated(0.01), receipt.until_applied(0.01)):
        with pytest.raises(ReceiptTimeout):
            await waiting
    sent.advance(receipt.row)
    applied.advance(receipt.seq)

    receipt.replicated(0)
    receipt.applied(0)
    await receipt.until_replicated(0)
    await receipt.until_applied(0)


def test_one_app_may_wait_in_one_loop_after_another(app: App) -> None:
    for number in range(3):
        receipt = app.ferry.record(opened(str(number)))
        asyncio.run(receipt.until_durable(DEADLINE_S))

    assert app.ferry.durable.value == 3
