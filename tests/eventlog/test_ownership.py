"""A source writes the streams that it owns, and no others."""

from pathlib import Path

import pytest

from eventlog.outbox.sqlite import SqliteOutbox
from eventlog.ownership import NotOwner, Ownership
from eventlog.shim import Ferry
from schemas.errors import SettingsInvalid
from schemas.settings import Outbox, Settings
from tests.domains.ledger import DOMAIN, Account
from tests.eventlog.app import DEADLINE_S, IDENTITY, account, deposited, opened, rows_of


def start(path: Path, *owns: str) -> tuple[Ferry, dict[str, Account]]:
    settings = Settings(
        source=IDENTITY.source, topic=IDENTITY.topic, owns=owns, outbox=Outbox(path=str(path))
    )
    ferry = Ferry(settings, SqliteOutbox(path, IDENTITY), DOMAIN)
    accounts = {"D2-old": account("D2-old", 5)}
    ferry.register("account", accounts)
    return ferry, accounts


def test_a_foreign_stream_is_refused_before_memory_changes(tmp_path: Path) -> None:
    path = tmp_path / "outbox.db"
    ferry, accounts = start(path, "account/D1-*", "reading/*")
    before = dict(accounts)

    with pytest.raises(NotOwner, match="source 'app-1' does not own stream 'account/D2-7'"):
        ferry.record(opened("D2-7"))
    with pytest.raises(NotOwner, match="account/D2-old"):
        ferry.record_all([opened("D1-1"), deposited("D2-old", 1, 6)])

    ferry.record(opened("D1-2")).durable(DEADLINE_S)
    ferry.close(DEADLINE_S)
    assert accounts == before | {"D1-2": accounts["D1-2"]}
    assert [row.stream for row in rows_of(path)] == ["account/D1-2"]


def test_without_patterns_a_source_owns_all(tmp_path: Path) -> None:
    ferry, _ = start(tmp_path / "outbox.db")

    ferry.record(opened("D2-7")).durable(DEADLINE_S)

    ferry.close(DEADLINE_S)


@pytest.mark.parametrize("pattern", ["", "*", "D1-*"])
def test_a_pattern_that_names_no_stream_is_refused(pattern: str) -> None:
    with pytest.raises(SettingsInvalid, match="names no stream"):
        Ownership("app-1", [pattern])
