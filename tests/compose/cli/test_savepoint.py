from collections.abc import Callable

from tests.compose.cli.conftest import Done, Ledger


def test_savepoints_are_taken_listed_and_never_moved(
    projected: Ledger, memferry: Callable[..., Done]
) -> None:
    environment = projected.environment

    empty = memferry("savepoint", "list", environment=environment)
    taken = memferry("savepoint", "take", "before", "--json", environment=environment)
    shown = memferry("savepoint", "take", "after", "--note", "why", environment=environment)
    again = memferry("savepoint", "take", "before", environment=environment)
    table = memferry("savepoint", "list", environment=environment)
    listed = memferry("savepoint", "list", "--json", environment=environment)

    assert (empty.code, "no savepoints yet" in empty.out) == (0, True)
    assert taken.json()["offsets"] == {"0": 7, "1": 7, "2": 7}
    assert (shown.code, shown.out) == (0, "savepoint after is 0:7,1:7,2:7\n")
    assert again.code == 2
    assert "a savepoint 'before' exists" in again.said
    first, second = listed.json()
    assert first | taken.json() == first
    assert (first["since"], second["name"], second["note"]) == (0, "after", "why")
    assert "before" in table.out
    assert "0:7,1:7,2:7" in table.out


def test_tables_are_kept_compared_and_dropped_with_their_savepoint(
    projected: Ledger, memferry: Callable[..., Done]
) -> None:
    environment = projected.environment

    taken = memferry("savepoint", "take", "s", "--keep-tables", environment=environment)
    table = memferry("savepoint", "list", environment=environment)
    same = memferry("savepoint", "diff", "s", "now", environment=environment)
    unknown = memferry("savepoint", "diff", "s", "t", environment=environment)
    dropped = memferry("savepoint", "drop", "s", environment=environment)
    gone = memferry("savepoint", "drop", "s", environment=environment)

    assert "with a copy of the tables, " in taken.out
    assert "kept, " in table.out
    assert (same.code, "from now back to savepoint s" in same.out) == (0, True)
    assert (unknown.code, "there is no savepoint 't'" in unknown.said) == (2, True)
    assert "savepoint s is dropped, and its tables with it, " in dropped.out
    assert (gone.code, "it was dropped at" in gone.said) == (2, True)


def test_without_kafka_the_list_lacks_only_how_far_back(
    projected: Ledger, memferry: Callable[..., Done]
) -> None:
    memferry("savepoint", "take", "here", environment=projected.environment)
    away = projected.environment | {
        "MEMFERRY_KAFKA_BOOTSTRAP": "127.0.0.1:1", "MEMFERRY_KAFKA_TIMEOUT_MS": "300"
    }  # fmt: skip

    listed = memferry("savepoint", "list", "--json", environment=away)

    assert listed.code == 0
    assert {point["name"]: point["since"] for point in listed.json()}["here"] is None
    assert "is not known" in listed.said


def test_a_projection_that_is_not_there_has_none(
    ledger: Ledger, memferry: Callable[..., Done]
) -> None:
    environment = ledger.environment | {"MEMFERRY_PROJECTION": "nowhere"}

    taken = memferry("savepoint", "take", "x", environment=environment)
    listed = memferry("savepoint", "list", environment=environment)

    assert (taken.code, listed.code) == (2, 2)
    assert "there is no projection 'nowhere'" in taken.said
    assert "there is no projection 'nowhere'" in listed.said
