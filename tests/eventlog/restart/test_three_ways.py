"""Memory is the same whether it comes back from the outbox, the tables and the log's tail, or the
log alone."""

import random
from collections.abc import Callable
from decimal import Decimal

import pytest

from eventlog.apart import run_apart
from eventlog.shim import Ferry
from tests.domains.ledger import Account
from tests.eventlog.app import DEADLINE_S, closed, deposited, opened, taken
from tests.eventlog.restart.life import Life, begin
from tests.projector.projecting import ends, project
from tests.projector.replaying import replay_to

WAYS = ["tables", "log"]
NAMES = [*"abcdefgh", "c/d", "日本"]
METERS = ["m", "n", "o/p"]


class Walk:
    """Random mutations of all kinds, from a seed; rings evict from their fourth reading on."""

    def __init__(self, life: Life, seed: int) -> None:
        self._life = life
        self.chance = random.Random(seed)
        self._number = 0

    def go(self, steps: int) -> None:
        for _ in range(steps):
            self._step(self._life)

    def _step(self, life: Life) -> None:
        name = self.chance.choice(NAMES)
        match self.chance.randrange(4):
            case 0:
                self._number += 1
                life.ferry.record(taken(self.chance.choice(METERS), self._number))
            case 1 if name in life.accounts and self.chance.random() < 0.5:
                life.ferry.record(closed(name))
            case _ if name in life.accounts:
                balance = life.accounts[name].balance
                life.ferry.record(deposited(name, "0.10", balance + Decimal("0.10")))
            case _:
                life.ferry.record(opened(name, tags={"k": name}))


@pytest.mark.parametrize("seed", range(2))
async def test_memory_is_equal_wherever_it_comes_back_from(life: Life, seed: int) -> None:
    walk = Walk(life, seed)
    walk.go(60)
    life.send()
    await life.apply({0: 0, 1: 0, 2: 0})
    for _ in range(4):
        if walk.chance.random() < 0.8:
            life.send()
        if walk.chance.random() < 0.8:
            await life.apply(
                {p: walk.chance.randint(0, end) for p, end in (await ends(life.settings)).items()}
            )
        if walk.chance.random() < 0.8:
            life.prune()
        walk.go(25)
        before = life.memory()

        for way in WAYS:
            life.restart(way)

            assert life.memory() == before, way


@pytest.mark.parametrize("way", WAYS)
async def test_recording_goes_on_in_the_same_lanes(life: Life, way: str) -> None:
    life.ferry.record_all([opened("a"), opened("b"), deposited("a", 5, 5), taken("m", 1)])
    life.send()
    await life.apply()
    life.prune()

    life.restart(way)
    life.ferry.record_all([deposited("a", 1, 6), closed("b"), taken("m", 2)])
    before = life.memory()
    life.restart(way)

    assert life.memory() == before
    life.send()
    await life.apply()
    life.prune()
    life.restart("tables")
    assert life.memory() == before


async def test_the_outbox_is_asked_where_it_holds_everything(life: Life) -> None:
    life.ferry.record_all([opened("a"), taken("m", 1)])
    life.send()
    await life.apply()

    assert life.restart() == {"account": "outbox", "reading": "outbox"}


async def test_a_pruned_outbox_leads_to_the_tables_and_what_is_not_in_them(life: Life) -> None:
    life.ferry.record_all([opened("a"), opened("b"), *(taken("m", n) for n in range(5))])
    life.send()
    await life.apply()
    life.ferry.record_all([deposited("a", 5, 5), closed("b"), opened("c"), taken("m", 5)])
    life.send()
    life.prune()
    life.ferry.record_all([deposited("a", 2, 7), opened("b", owner="eve"), taken("n", 1)])
    before = life.memory()

    assert life.restart() == {"account": "tables", "reading": "tables"}
    assert life.memory() == before
    assert life.restart("log") == {"account": "log", "reading": "log"}
    assert life.memory() == before


async def test_a_rings_newest_entities_come_back_of_all_that_the_table_holds(life: Life) -> None:
    life.ferry.record_all([taken(meter, n) for n in range(9) for meter in METERS])
    life.send()
    await life.apply()
    life.prune()

    life.restart("tables")

    assert life.memory()["rings"] == {meter: [6, 7, 8] for meter in METERS}


async def test_tables_that_move_on_between_two_kinds_are_read_where_they_are(life: Life) -> None:
    life.ferry.record_all([opened("a"), taken("m", 1), taken("n", 1)])
    life.send()
    await life.apply()
    life.ferry.record_all([deposited("a", 5, 5), taken("m", 2), closed("a"), taken("n", 2)])
    life.send()
    life.prune()
    life.ferry.record(taken("m", 3))
    before = life.memory()

    for _ in range(2):
        life.restart("tables", between=lambda: run_apart(project(life.settings)))
        assert life.memory() == before

    life.restart("tables", between=lambda: run_apart(replay_from_nothing(life)))
    assert life.memory() == before


async def replay_from_nothing(life: Life) -> None:
    await replay_to(life.settings, dict.fromkeys(range(life.settings.kafka.partitions), 0))


async def test_an_app_that_is_attached_again_goes_on_from_a_pruned_outbox(
    life: Life, attach: Callable[..., Ferry]
) -> None:
    await begin(life)
    before = life.memory()
    life.stop()
    accounts: dict[str, Account] = {}

    ferry = attach(life.settings, accounts)

    assert ferry.restart.ways == {"account": "tables", "reading": "tables"}
    assert accounts == before["account"]
    ferry.record(deposited("a", 1, 7)).replicated(DEADLINE_S)


def test_with_nothing_recorded_nothing_comes_back(life: Life) -> None:
    assert life.restart() == {"account": "outbox", "reading": "outbox"}
    assert life.memory() == {"account": {}, "reading": {}, "rings": {}}
