"""Folds of logs with voids: what is void is left out, whether a fold is new or kept."""

from contextlib import closing
from decimal import Decimal
from pathlib import Path
from typing import Any

import psycopg
import pytest

from projector.audit.fold_store import FoldStore
from projector.audit.log_fold import LogFold
from projector.log import Log
from schemas.settings import Settings
from schemas.void import VoidNotObeyed, Voids
from tests.domains.ledger import DOMAIN
from tests.projector.app import accounts_in
from tests.projector.broker import Broker
from tests.projector.projecting import ends
from tests.projector.voided import deposited, history

A, B = accounts_in(0, 2)
C, D = accounts_in(1, 2)
Database = psycopg.Connection[Any]


def balances(fold: LogFold) -> dict[str, Decimal]:
    found = [entity for kind, entity in fold.state.entities() if kind.name == "account"]
    return {entity.account: entity.balance for entity in found}


async def folded(fold: LogFold, settings: Settings) -> LogFold:
    async with Log(settings, f"{settings.topic}.1") as log:
        await fold.read_to(log, await ends(settings))
    fold.commit()
    return fold


async def test_a_fold_leaves_out_what_is_void_and_goes_on_behind_it(
    broker: Broker, topic: Settings
) -> None:
    written = history(topic.topic, A, B, C, D)
    void = written.void("v", {0: 3, 1: 4}, f"account/{A}", f"account/{D}")
    written.record(deposited(A, 5, 6), deposited(D, 7, 7), deposited(C, 1, 4))
    written.void("w", {1: 7})
    written.restore("w")
    written.send(broker, topic)
    voids = Voids(1, [void], [("w", "app-1")])

    fold = await folded(LogFold(DOMAIN, 1, {"app-1"}, voids=voids, whole=True), topic)

    assert balances(fold) == {A: 6, B: 3, C: 4, D: 7}
    assert fold.failures == {}
    assert {lane.partition: head.seq for lane, head in fold.heads().items()} == written.seqs()


async def test_a_fold_that_does_not_know_of_a_void_stops_at_its_mark(
    broker: Broker, topic: Settings
) -> None:
    written = history(topic.topic, A, B, C, D)
    written.void("v", {0: 3})
    written.send(broker, topic)

    with pytest.raises(VoidNotObeyed, match="void by v"):
        await folded(LogFold(DOMAIN, 1, {"app-1"}), topic)


@pytest.mark.parametrize("after", [6, 3], ids=["ahead of what was read", "of what was read"])
async def test_a_kept_fold_is_gone_on_with_where_a_void_concerns_nothing_that_it_read(
    after: int, broker: Broker, topic: Settings, tmp_path: Path
) -> None:
    written = history(topic.topic, A, B, C, D)
    written.send(broker, topic)

    async def fold(voids: Voids) -> tuple[int, dict[str, Decimal]]:
        with closing(FoldStore(tmp_path / "ledger.fold")) as store:
            made = await folded(LogFold(DOMAIN, 1, {"app-1"}, (), store, voids=voids), topic)
            return made.events, balances(made)

    whole, _ = await fold(Voids(1))
    if after == 6:
        written.record(deposited(A, 4, 7))
    void = written.void("v", {0: after})
    written.send(broker, topic)
    obeying = await fold(Voids(1, [void]))
    written.restore("v")
    written.send(broker, topic)
    reversed_ = await fold(Voids(1, [], [("v", "app-1")]))

    added = 3 + (after == 6)  # the marks, and what they are about
    assert obeying[0] == (added if after == 6 else whole + added)
    assert obeying[1][A] == (3 if after == 6 else 1)
    assert reversed_[0] == whole + added + 3
    assert reversed_[1][A] == (7 if after == 6 else 3)
