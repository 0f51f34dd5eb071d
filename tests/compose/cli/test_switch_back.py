from collections.abc import Callable

import msgspec

from tests.compose.cli.conftest import Done
from tests.projector.migration.stage import Stage


def test_reads_return_once_and_then_there_is_nothing_to_return(
    trading: Stage, commands: Callable[..., Done]
) -> None:
    trading.migration().run()

    done = commands("switch-back")
    again = commands("switch-back", "--json")

    assert done.code == 0, done.err
    words = " ".join(done.out.split())
    assert words.startswith("reads go to memory since epoch ")
    assert "no writer stood still for more than " in words
    assert "1/2 AUDIT" in done.err
    assert trading.ferry.reads.route.now.route == "memory"
    assert (again.code, again.out) == (2, "")
    assert "are in memory already" in again.said
    assert "next `memferry migrate --zero-downtime` moves them to PostgreSQL" in again.said


def test_a_memory_that_differs_ends_with_2_unless_nobody_asks(
    trading: Stage, commands: Callable[..., Done]
) -> None:
    trading.migration().run()
    true = trading.accounts["w-2"]
    trading.accounts["w-2"] = msgspec.structs.replace(true, owner="Mallory")

    refused = commands("switch-back")
    done = commands("switch-back", "--without-audit", "--json")
    trading.accounts["w-2"] = true

    assert refused.code == 2
    assert "memory differs from the log in 1 rows: memory: table accounts, key w-2" in refused.said
    assert "restart the app" in refused.said
    assert done.code == 0
    found = done.json()
    assert (found["route"], found["sources"]) == ("memory", ["app-1"])
    assert found["pause_ms"] > 0
