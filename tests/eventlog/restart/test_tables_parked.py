"""Tables that lack parked events do not tell a kind's memory: the log does, and nothing is lost."""

import logging
from typing import Any

import psycopg
import pytest

from eventlog.restart.unusable import TablesUnusable
from tests.eventlog.restart.life import Life, begin
from tests.projector.parking_by_hand import park


async def test_a_kind_with_a_parked_stream_comes_back_from_the_log_and_the_others_from_the_tables(
    life: Life, database: psycopg.Connection[Any], caplog: pytest.LogCaptureFixture
) -> None:
    await begin(life)
    await life.apply()
    before = life.memory()
    name = life.settings.projection
    park(database, name, "account/a", seq=2, partition=1)
    database.execute(f"UPDATE {name}.accounts SET balance = 0 WHERE account = 'a'")

    with caplog.at_level(logging.WARNING, logger="memferry.restart"):
        ways = life.restart()

    assert (ways, life.memory()) == ({"account": "log", "reading": "tables"}, before)
    assert "lack parked events of 1 streams of 'account', as of account/a" in caplog.text
    with pytest.raises(TablesUnusable, match="lack parked events"):
        life.restart("tables")
