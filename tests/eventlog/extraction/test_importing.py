"""Files recorded into an outbox, from which an app comes up as if it had held everything."""

import signal
import subprocess
import sys
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest

import eventlog
from eventlog.extraction.importing import Imported, import_file
from eventlog.extraction.reading import FileInvalid
from eventlog.extraction.writing import write_extraction
from eventlog.outbox.contract import OutboxIdentity, OutboxInUse
from schemas.domain import Domain
from schemas.settings import Settings
from tests.domains.ledger import DOMAIN, AmountDeposited, Reading
from tests.eventlog.app import (
    DEADLINE_S,
    fold,
    new_rings,
    require_whole_lanes,
    rows_of,
    types_of,
)
from tests.eventlog.extraction.holding import (
    STRATEGY,
    Strategy,
    account,
    accounts,
    readings,
    strategies,
    strategy,
)

ROOT = Path(__file__).parents[3]


@pytest.fixture
def settings(kafka_settings: Settings) -> Settings:
    return kafka_settings


def held(count: int = 5) -> list[Any]:
    return [
        accounts(*(account(str(n), n) for n in range(count))),
        readings(Reading(f"m-{n % 3}", n, Decimal(n)) for n in range(9)),
    ]


def write(path: Path, count: int = 5) -> Path:
    write_extraction(path, held(count), DOMAIN)
    return path


def memory_of(settings: Settings) -> dict[str, Any]:
    """Start an app that holds nothing, and return what it then holds."""
    own, rings = {}, new_rings()  # type: ignore[var-annotated]
    ferry = eventlog.attach(settings, domain=DOMAIN)
    try:
        ferry.register("account", own)
        ferry.register("reading", rings)
        ferry.record(AmountDeposited("1", Decimal(1), Decimal(2))).durable(DEADLINE_S)
    finally:
        ferry.close(DEADLINE_S)
    return {"account": own, "reading": rings}


def test_an_app_that_starts_with_empty_containers_holds_what_the_file_held(
    settings: Settings, tmp_path: Path
) -> None:
    path = write(tmp_path / "x.jsonl")

    found = import_file(settings, DOMAIN, path)

    assert found == Imported({"account": 5, "reading": 9}, recorded=8, known=0)
    memory = memory_of(settings)
    assert memory["account"] == {str(n): account(str(n), n if n != 1 else 2) for n in range(5)}
    assert {meter: [r.number for r in ring] for meter, ring in memory["reading"].items()} == {
        "m-0": [0, 3, 6], "m-1": [1, 4, 7], "m-2": [2, 5, 8]
    }  # fmt: skip
    rows = rows_of(settings.outbox_path)
    require_whole_lanes(rows, OutboxIdentity(settings.source, settings.topic, 1, 3))
    assert types_of(rows)[0] == "memferry.source.opened.v1"
    assert fold(rows)["account"] == memory["account"]


def test_a_second_import_leaves_what_the_log_holds(settings: Settings, tmp_path: Path) -> None:
    import_file(settings, DOMAIN, write(tmp_path / "x.jsonl", 3))
    rows = len(rows_of(settings.outbox_path))

    found = import_file(settings, DOMAIN, write(tmp_path / "more.jsonl", 5))

    assert (found.recorded, found.known) == (2, 6)
    assert len(rows_of(settings.outbox_path)) == rows + 2


def test_a_file_with_wrong_lines_records_nothing_and_lists_them(
    settings: Settings, tmp_path: Path
) -> None:
    path = write(tmp_path / "x.jsonl")
    lines = path.read_bytes().splitlines(keepends=True)
    lines[2] = lines[2].replace(b'"balance":"1"', b'"balance":"NaN"')
    lines[4] = lines[4].replace(b"account", b"acount", 1)
    path.write_bytes(b"".join(lines))

    with pytest.raises(FileInvalid) as refused:
        import_file(settings, DOMAIN, path)

    first, second, third = refused.value.what.splitlines()
    assert first == "2 lines may not be recorded, nothing was:"
    assert second.startswith("  line 3: ")
    assert third.startswith("  line 5: there is no kind 'acount'")
    assert not settings.outbox_path.exists()


def test_many_wrong_lines_are_counted_and_the_first_are_told(
    settings: Settings, tmp_path: Path
) -> None:
    path = tmp_path / "x.csv"
    path.write_text("meter,number,value\n" + "m,x,1\n" * 50)

    with pytest.raises(FileInvalid, match="50 lines may not be recorded") as refused:
        import_file(settings, DOMAIN, path, kind="reading")

    told = refused.value.what.splitlines()
    assert (len(told), told[-1]) == (22, "  and 30 more")


def test_a_key_that_comes_twice_is_told_with_both_lines(settings: Settings, tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_text("meter,number,value\nm,1,1\nm,2,1\nm,1,2\n")

    with pytest.raises(FileInvalid, match="line 4: reading m/1 stands in line 2 already"):
        import_file(settings, DOMAIN, path, kind="reading")


def test_lines_of_one_stream_may_stand_apart(settings: Settings, tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_text("meter,number,value\na,1,1\nb,1,1\na,2,1\nb,2,1\n")

    found = import_file(settings, DOMAIN, path, kind="reading")

    assert found == Imported({"reading": 4}, recorded=2, known=0)


def test_entities_of_derived_kinds_come_up_in_an_app_that_derives_them_itself(
    settings: Settings, tmp_path: Path
) -> None:
    domain = Domain("app", (STRATEGY,), "")
    kept = [strategy("a", weight=3), strategy("b")]
    settings = msgspec.structs.replace(settings, domain="")
    write_extraction(tmp_path / "x.jsonl", [strategies(*kept)], domain)

    import_file(settings, domain, tmp_path / "x.jsonl")
    ferry = eventlog.attach(settings)
    ferry.entity(stream="strategy", key="strategy_id")(Strategy)
    found = dict(ferry.dict("strategy", Strategy))
    ferry.close(DEADLINE_S)

    assert found == {"a": kept[0], "b": kept[1]}
    assert types_of(rows_of(settings.outbox_path))[:2] == [
        "memferry.source.opened.v1",
        "memferry.kind.declared.v1",
    ]


def test_a_dry_run_judges_the_file_and_records_nothing(settings: Settings, tmp_path: Path) -> None:
    path = write(tmp_path / "x.jsonl")
    away = msgspec.structs.replace(
        settings, kafka=msgspec.structs.replace(settings.kafka, bootstrap="127.0.0.1:1")
    )

    fresh = import_file(away, DOMAIN, path, dry_run=True)
    existed = settings.outbox_path.exists()
    import_file(settings, DOMAIN, path)
    again = import_file(away, DOMAIN, path, dry_run=True)

    assert not existed
    assert (fresh.recorded, fresh.known) == (8, 0)
    assert (again.recorded, again.known) == (0, 8)


def test_an_import_into_an_app_that_runs_is_refused(
    settings: Settings, tmp_path: Path, attach: Callable[..., eventlog.Ferry]
) -> None:
    attach(settings)

    with pytest.raises(OutboxInUse):
        import_file(settings, DOMAIN, write(tmp_path / "x.jsonl"))


def test_an_import_that_was_killed_is_finished_by_the_next_one(
    settings: Settings, tmp_path: Path
) -> None:
    path = write(tmp_path / "x.jsonl", 400)
    arguments = [msgspec.json.encode(settings).decode(), str(path)]

    killed = subprocess.run(
        [sys.executable, "-m", "tests.eventlog.extraction.importer", *arguments],
        cwd=ROOT, timeout=60, check=False,
    )  # fmt: skip
    durable = len(rows_of(settings.outbox_path)) - 1
    found = import_file(settings, DOMAIN, path)

    assert killed.returncode == -signal.SIGKILL
    assert 30 <= durable < 400
    assert (found.recorded + found.known, found.known) == (403, durable)
    rows = rows_of(settings.outbox_path)
    assert len(rows) == 1 + 400 + 9
    assert fold(rows)["account"] == {str(n): account(str(n), n) for n in range(400)}
