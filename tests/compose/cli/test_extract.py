import gzip
from collections.abc import Callable
from pathlib import Path

import msgspec
import psycopg
import pytest

from tests.compose.cli.conftest import Done, Ledger
from tests.projector.migration.stage import Stage


def test_the_containers_of_a_running_app_are_shown_with_their_counts(
    trading: Stage, commands: Callable[..., Done]
) -> None:
    shown = commands("extract")
    document = commands("extract", "--json")

    assert shown.code == document.code == 0
    words = " ".join(shown.out.split())
    assert "app-1 account dict of Account 14 14 " in words
    assert "app-1 reading dict of deque of Reading (window) 1 3 " in words
    (answer,) = document.json()
    assert (answer["source"], answer["unregistered"]) == ("app-1", [])
    assert [(s["kind"], s["streams"], s["entities"]) for s in answer["stores"]] == [
        ("account", 14, 14), ("reading", 1, 3)
    ]  # fmt: skip


def test_an_app_that_does_not_answer_ends_with_2(
    projected: Ledger, memferry: Callable[..., Done]
) -> None:
    done = memferry("extract", "--timeout-s", "0.2", environment=projected.environment)

    assert (done.code, done.out) == (2, "")
    assert "source 'app-1' did not answer: no answer in time" in done.said
    assert "start the app" in done.said


def test_memory_is_estimated_for_each_container(
    trading: Stage, commands: Callable[..., Done]
) -> None:
    (answer,) = commands("extract", "--json").json()

    assert {store["name"]: 300 < store["memory_bytes"] < 30_000 for store in answer["stores"]} == {
        "account": True, "reading": True
    }  # fmt: skip


def test_a_running_app_says_what_its_fields_hold_and_what_looks_wrong(
    trading: Stage, commands: Callable[..., Done]
) -> None:
    shown = commands("extract", "--statistics", "--stale-after-s", "3600")
    document = commands("extract", "--kind", "account", "--key", "old-[12]", "--sample", "1",
                        "--json")  # fmt: skip

    assert shown.code == document.code == 0
    words = " ".join(shown.out.split())
    assert "app-1 account: 14 of 14 entities" in words
    assert "balance 0 " in words
    assert "warning stale opened_at: 1, the newest is " in words
    (answer,) = document.json()
    (kind,) = answer["statistics"]
    assert (kind["kind"], kind["selected"], len(kind["sample"])) == ("account", 2, 1)
    assert kind["sample"][0]["account"] in {"old-1", "old-2"}


def test_a_running_app_is_written_to_a_file_beside_its_trading(
    trading: Stage, commands: Callable[..., Done], memferry: Callable[..., Done], tmp_path: Path
) -> None:
    whole = commands("extract", "--out", "app.jsonl.gz")
    some = commands("extract", "--kind", "account", "--key", "old-*", "--out", "old.csv")
    wrong = commands("extract", "--out", "both.csv")

    assert (whole.code, some.code, wrong.code) == (0, 0, 2), whole.err + some.err
    assert "app.jsonl.gz: 17 entities written" in whole.said
    assert "there are 2 to write" in wrong.said
    ledger = ("--domain", "tests.domains.ledger")
    again = memferry("import", "app.jsonl.gz", "--dry-run", "--json", *ledger)
    of_old = memferry("import", "old.csv", "--kind", "account", "--dry-run", "--json", *ledger)
    assert again.json()["entities"] == {"account": 14, "reading": 3}
    assert of_old.json()["entities"] == {"account": 10}
    with gzip.open(tmp_path / "app.jsonl.gz") as lines:
        header = msgspec.json.decode(lines.readline())
    assert (header["source"], header["kinds"]) == ("app-1", ["account", "reading"])
    assert header["position"] > 0
    with psycopg.connect(trading.settings.postgres.dsn) as conn:
        assert conn.execute("SELECT count(*) FROM memferry.memory_line").fetchone() == (0,)


DESK = """
from collections import deque
from datetime import UTC, datetime
from decimal import Decimal
from tests.domains.ledger import Account, Reading

class Desk:
    def __init__(self):
        self.accounts = {
            name: Account(name, "ann", Decimal(n), datetime(2026, 1, n + 1, tzinfo=UTC))
            for n, name in enumerate(("a", "b", "c"))
        }
        self.feeds = {"m": deque([Reading("m", 1, Decimal("1.50"))], maxlen=9)}
        self.latencies = [0.5] * 200

desk = Desk()

def make():
    return Desk()

def twice():
    made = Desk()
    made.again = dict(made.accounts)
    return made
"""


@pytest.fixture
def of_desk(tmp_path: Path, memferry: Callable[..., Done]) -> Callable[..., Done]:
    """Run commands where an app can be imported: no server, no shim."""
    (tmp_path / "desk.py").write_text(DESK)
    return lambda *arguments: memferry(*arguments, "--domain", "tests.domains.ledger")


@pytest.mark.parametrize("name", ["desk:desk", "desk:make"])
def test_an_app_object_is_imported_and_shown(of_desk: Callable[..., Done], name: str) -> None:
    shown = of_desk("extract", "--app", name)
    (answer,) = of_desk("extract", "--app", name, "--json", "--sample", "2").json()

    assert shown.code == 0
    words = " ".join(shown.out.split())
    assert "account dict of Account 3 3 3" in words
    assert "app.feeds" in words
    assert "the app holds app.latencies, a list of 200 values: not registered" in shown.said
    assert [kind["selected"] for kind in answer["statistics"]] == [3, 1]


def test_an_app_object_is_written_to_a_file_that_can_be_imported(
    of_desk: Callable[..., Done], tmp_path: Path
) -> None:
    options = ("--app", "desk:desk", "--out", "desk.jsonl.gz", "--since", "2026-01-02",
               "--kind", "account")  # fmt: skip

    written = of_desk("extract", *options)
    again = of_desk("extract", *options)
    forced = of_desk("extract", *options, "--force")
    judged = of_desk("import", "desk.jsonl.gz", "--dry-run")

    assert (written.code, again.code, forced.code) == (0, 2, 0)
    assert "desk.jsonl.gz: 2 entities written" in written.said
    assert "the file is there already" in again.said
    assert "--force" in again.said
    assert judged.code == 0
    assert "2 account in the file; 2 streams would be recorded" in judged.out
    assert sorted(path.name for path in tmp_path.iterdir() if path.is_file()) == [
        "desk.jsonl.gz", "desk.py"
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--app", "desk"), "'desk' is no module:attribute"),
        (("--app", "dusk:desk"), "the module 'dusk' cannot be imported"),
        (("--app", "desk:dusk"), "there is no 'dusk'"),
        (("--app", "desk:twice"), "2 containers hold Account: app.accounts, app.again"),
        (("--app", "desk:desk", "--kind", "trade"), "nothing is held of a kind 'trade'"),
        (("--app", "desk:desk", "--since", "2026-01-01"), "kind 'reading' has no time"),
        (("--app", "desk:desk", "--out", "x.csv"), "a CSV file holds one kind, there are 2"),
        (("--app", "desk:desk", "--out", "x.txt"), "does not say what the file holds"),
    ],
)
def test_what_cannot_be_extracted_ends_with_2(
    of_desk: Callable[..., Done], options: tuple[str, ...], said: str
) -> None:
    done = of_desk("extract", *options)

    assert (done.code, done.out) == (2, "")
    assert said in done.said
