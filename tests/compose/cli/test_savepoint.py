from collections.abc import Callable

from tests.compose.cli.conftest import Done, Ledger


def test_savepoints_are_taken_listed_and_never_moved(
    projected: Ledger, memferry: Callable[..., Done]
) -> None:
    environment = projected.environment

    empty = memferry("savepoint", "list", environment=environment)
    taken = memferry("savepoint", "take", "before", "--json", environment=environment)
    shown = memferry("savepoint", "take", "after", environment=environment)
    again = memferry("savepoint", "take", "before", environment=environment)
    table = memferry("savepoint", "list", environment=environment)
    listed = memferry("savepoint", "list", "--json", environment=environment)

    assert (empty.code, "no savepoints yet" in empty.out) == (0, True)
    assert taken.json()["offsets"] == {"0": 7, "1": 7, "2": 7}
    assert (shown.code, shown.out) == (0, "savepoint after is 0:7,1:7,2:7\n")
    assert again.code == 2
    assert "a savepoint 'before' exists" in again.said
    assert [point["name"] for point in listed.json()] == ["before", "after"]
    assert listed.json()[0] == taken.json()
    assert "before" in table.out
    assert "0:7,1:7,2:7" in table.out


def test_a_projection_that_is_not_there_has_none(
    ledger: Ledger, memferry: Callable[..., Done]
) -> None:
    environment = ledger.environment | {"MEMFERRY_PROJECTION": "nowhere"}

    taken = memferry("savepoint", "take", "x", environment=environment)
    listed = memferry("savepoint", "list", environment=environment)

    assert (taken.code, listed.code) == (2, 2)
    assert "there is no projection 'nowhere'" in taken.said
    assert "there is no projection 'nowhere'" in listed.said
