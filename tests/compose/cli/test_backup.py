from collections.abc import Callable
from pathlib import Path

import pytest

from projector.backup.shelf import Shelf
from tests.compose.cli.conftest import Done, Ledger


@pytest.fixture
def environment(projected: Ledger, tmp_path: Path) -> dict[str, str]:
    return projected.environment | {"MEMFERRY_BACKUP_DIRECTORY": str(tmp_path / "backups")}


def test_backups_are_taken_listed_verified_and_restored(
    projected: Ledger, environment: dict[str, str], memferry: Callable[..., Done], tmp_path: Path
) -> None:
    empty = memferry("backup", "list", environment=environment)
    taken = memferry("backup", "take", "b", "--json", environment=environment)
    shown = memferry("backup", "take", "c", environment=environment)
    again = memferry("backup", "take", "b", environment=environment)
    listed = memferry("backup", "list", environment=environment)
    verified = memferry("backup", "verify", "b", "--verify", "listing", environment=environment)
    asked = memferry("restore", "b", environment=environment)
    restored = memferry("restore", "b", "--yes", environment=environment)

    assert (empty.code, "no backups yet" in empty.out) == (0, True)
    assert (taken.code, taken.json()["position"]) == (0, {"0": 7, "1": 7, "2": 7})
    assert shown.out.startswith("backup c is at 0:7,1:7,2:7: 12 rows, ")
    assert (again.code, "a backup 'b' exists" in again.said) == (2, True)
    assert listed.code == 0
    assert "by listing" in listed.out
    assert verified.out == "backup b is whole: 12 rows, by listing\n"
    assert (asked.code, "there is no terminal to ask on" in asked.said) == (2, True)
    assert "goes from 0:7,1:7,2:7 to 0:7,1:7,2:7" in asked.said
    assert restored.code == 0, restored.err
    assert "is at 0:7,1:7,2:7 and goes on from there: 12 rows" in restored.out
    assert "`memferry swap undo` brings them back" in restored.out
    memferry("swap", "release", environment=environment)


def test_damaged_ones_are_named_and_exit_with_1(
    environment: dict[str, str], memferry: Callable[..., Done], tmp_path: Path
) -> None:
    memferry("backup", "take", "b", environment=environment)
    dump = Shelf(tmp_path / "backups").path("b") / "database.dump"
    dump.write_bytes(b"x" + dump.read_bytes()[1:])

    quick = memferry("backup", "list", "--quick", environment=environment)
    listed = memferry("backup", "list", environment=environment)
    document = memferry("backup", "list", "--json", environment=environment)
    verified = memferry("backup", "verify", "b", environment=environment)
    restored = memferry("restore", "b", "--yes", environment=environment)

    assert quick.code == 0
    assert (listed.code, "DAMAGED" in listed.out) == (1, True)
    assert "backup 'b' is damaged: database.dump was altered" in listed.said
    assert (document.code, document.json()[0]["name"]) == (1, "b")
    assert (verified.code, "SHA-256 is another" in verified.said) == (1, True)
    assert (restored.code, "is damaged" in restored.said) == (2, True)
