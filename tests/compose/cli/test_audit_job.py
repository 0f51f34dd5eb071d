"""`memferry audit --continuous` and `memferry audit history`, as processes."""

import os
import signal
import socket
import urllib.request
from collections.abc import Callable
from typing import Any

import msgspec
import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from compose.stack import Stack
from compose.stack.postgres import Postgres
from projector.audit.hook import Alert
from tests.compose.cli.conftest import Done, Ledger, Running
from tests.projector.waiting import until

Start = Callable[..., Running]
Memferry = Callable[..., Done]
JOB = ("audit", "--without-memory", "--every", "0.01s", "--count")


def kept(ledger: Ledger) -> list[tuple[Any, ...]]:
    """Return verdict and error of each audit in the history, the newest first."""
    with psycopg.connect(ledger.settings.postgres.dsn) as conn:
        return conn.execute(
            "SELECT verdict, error FROM memferry.audit WHERE projection = %s "
            "ORDER BY started_at DESC", (ledger.settings.projection,),
        ).fetchall()  # fmt: skip


@pytest.fixture
def fresh(projected: Ledger) -> Ledger:
    """The history has nothing yet."""
    with psycopg.connect(projected.settings.postgres.dsn) as conn:
        conn.execute(
            "DELETE FROM memferry.audit WHERE projection = %s", (projected.settings.projection,)
        )
    return projected


def spoil(ledger: Ledger) -> None:
    with psycopg.connect(ledger.settings.postgres.dsn) as conn:
        conn.execute(f"INSERT INTO {ledger.settings.projection}.readings VALUES ('x', 1, 1)")


def test_a_line_stands_for_each_audit(fresh: Ledger, memferry: Memferry) -> None:
    shown = memferry(*JOB, "2", environment=fresh.environment)
    lines = memferry(*JOB, "2", "--json", environment=fresh.environment)

    assert shown.code == lines.code == 0, shown.err
    assert len(shown.out.splitlines()) == 2
    assert "UTC  clean  12 rows at 0:7,1:7,2:7 in " in shown.out
    assert "every 0.01 s" in shown.said
    alerts = [msgspec.json.decode(line, type=Alert) for line in lines.out.splitlines()]
    assert [alert.verdict for alert in alerts] == ["clean", "clean"]
    assert alerts[0].report is not None
    assert alerts[0].report.position == "0:7,1:7,2:7"
    assert [verdict for verdict, _ in kept(fresh)] == ["clean"] * 4


def test_findings_end_it_with_1_and_errors_alone_with_2(fresh: Ledger, memferry: Memferry) -> None:
    silent = memferry("audit", "--timeout-s", "0.1", "--count", "1", environment=fresh.environment)
    spoil(fresh)
    found = memferry(*JOB, "1", environment=fresh.environment)

    assert (silent.code, found.code) == (2, 1)
    assert "error  source 'app-1' did not answer" in silent.out
    assert "findings  12 rows" in found.out
    assert "1 findings, the first: tables, readings: rows that no event explains: x/1" in found.out


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_cleanly_between_audits(
    fresh: Ledger, start: Start, number: signal.Signals
) -> None:
    running = start("audit", "--without-memory", "--continuous", environment=fresh.environment)
    until(lambda: [verdict for verdict, _ in kept(fresh)] == ["clean"], "the first audit", 30)
    os.kill(running.pid, number)

    done = running.done()

    assert done.code == 130, done.err
    assert "clean" in done.out


@pytest.mark.parametrize("once", [True, False], ids=["once", "continuous"])
def test_a_signal_in_the_middle_of_an_audit_ends_it_and_the_next_one_says_so(
    fresh: Ledger, start: Start, memferry: Memferry, once: bool
) -> None:
    arguments = ("audit",) if once else ("audit", "--continuous")
    running = start(*arguments, environment=fresh.environment)  # no app will ever answer
    until(lambda: kept(fresh) == [(None, "")], "an audit under way", 30)
    os.kill(running.pid, signal.SIGTERM)

    done = running.done()
    again = memferry(*JOB, "1", environment=fresh.environment)

    assert (done.code, again.code) == (130, 0), done.err
    assert [verdict for verdict, _ in kept(fresh)] == ["clean", "interrupted"]


def test_one_that_was_killed_is_noted_by_the_next_and_shown_in_the_history(
    fresh: Ledger, start: Start, memferry: Memferry
) -> None:
    running = start("audit", "--continuous", environment=fresh.environment)
    until(lambda: kept(fresh) == [(None, "")], "an audit under way", 30)
    under_way = memferry("audit", "history", environment=fresh.environment)
    os.kill(running.pid, signal.SIGKILL)
    running.process.join(30)

    again = memferry(*JOB, "1", environment=fresh.environment)
    shown = memferry("audit", "history", environment=fresh.environment)

    assert "under way" in under_way.out
    assert again.code == 0
    assert "was interrupted" in again.said
    assert kept(fresh) == [("clean", ""), ("interrupted", "its process ended in the middle")]
    assert f"its process ended in the middle (process {running.pid} on " in shown.out


def test_a_second_job_says_who_runs(fresh: Ledger, start: Start, memferry: Memferry) -> None:
    first = start("audit", "--without-memory", "--continuous", environment=fresh.environment)
    until(lambda: kept(fresh), "the first job", 30)

    second = memferry(*JOB, "1", environment=fresh.environment)
    once = memferry("audit", "--without-memory", environment=fresh.environment)
    os.kill(first.pid, signal.SIGTERM)

    assert (second.code, once.code) == (2, 0)
    assert f"runs already: process {first.pid} on " in second.said
    assert first.done().code == 130


def test_a_table_that_is_misspelt_begins_no_job(fresh: Ledger, memferry: Memferry) -> None:
    done = memferry(*JOB, "1", "--tables", "acounts", environment=fresh.environment)

    assert done.code == 2
    assert "has no table 'acounts'" in done.said
    assert kept(fresh) == []


def test_who_may_only_read_audits_without_memory(
    fresh: Ledger, memferry: Memferry, stack: Stack
) -> None:
    name = fresh.settings.projection
    with psycopg.connect(Postgres(stack.directory).superuser_url, autocommit=True) as superuser:
        superuser.execute(f"CREATE ROLE reader_{name} LOGIN PASSWORD 'x'")
    with psycopg.connect(fresh.settings.postgres.dsn) as conn:
        for schema in ("memferry", name):
            conn.execute(f"GRANT USAGE ON SCHEMA {schema} TO reader_{name}")
            conn.execute(f"GRANT SELECT ON ALL TABLES IN SCHEMA {schema} TO reader_{name}")
    dsn = make_conninfo(fresh.settings.postgres.dsn, user=f"reader_{name}", password="x")  # noqa: S106

    done = memferry(*JOB, "2", environment=fresh.environment | {"MEMFERRY_POSTGRES_DSN": dsn})

    assert done.code == 0, done.err
    assert done.out.count("clean") == 2
    assert "does not keep this audit: permission denied" in done.said
    assert kept(fresh) == []


def test_its_metrics_are_served_meanwhile(fresh: Ledger, start: Start) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    running = start(
        "audit", "--without-memory", "--metrics-port", str(port), environment=fresh.environment
    )
    until(lambda: [verdict for verdict, _ in kept(fresh)] == ["clean"], "the first audit", 30)

    def text() -> str:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:
            return str(answer.read(), "utf-8")

    name = fresh.settings.projection
    counted = f'memferry_audit_runs_total{{projection="{name}",verdict="clean"}} 1.0'
    until(lambda: counted in text(), "its verdict counted")
    os.kill(running.pid, signal.SIGTERM)

    assert running.done().code == 130


def test_the_history_shows_the_newest_first_with_their_trend(
    fresh: Ledger, memferry: Memferry
) -> None:
    nothing = memferry("audit", "history", environment=fresh.environment)
    memferry(*JOB, "2", environment=fresh.environment)
    spoil(fresh)
    memferry(*JOB, "1", environment=fresh.environment)

    shown = memferry("audit", "history", environment=fresh.environment)
    newest = memferry("audit", "history", "--limit", "1", "--json", environment=fresh.environment)
    none = memferry("audit", "history", "--limit", "0", environment=fresh.environment)

    assert "nothing is kept yet" in nothing.out
    assert (shown.code, newest.code, none.code) == (0, 0, 2)
    lines = shown.out.splitlines()
    assert ["findings" in lines[1], "clean" in lines[2], "clean" in lines[3]] == [True] * 3
    assert "1 ↑" in lines[1]
    assert "0 →" in lines[2]
    assert any(line.startswith("audit findings ▁▁█  0 to 1 findings") for line in lines)
    (one,) = newest.json()
    assert (one["verdict"], one["findings"], one["rows"]) == ("findings", 1, 12)


def test_a_kept_report_is_shown_again(fresh: Ledger, memferry: Memferry) -> None:
    spoil(fresh)
    first = memferry("audit", "--without-memory", environment=fresh.environment)
    (one,) = memferry("audit", "history", "--json", environment=fresh.environment).json()

    arguments = ("audit", "history", "--id", one["id"][:8])
    shown = memferry(*arguments, environment=fresh.environment)
    document = memferry(*arguments, "--json", environment=fresh.environment)
    unknown = memferry("audit", "history", "--id", "nothing", environment=fresh.environment)

    assert shown.out == first.out
    assert document.json()["findings"][0]["rows"] == ["x/1"]
    assert unknown.code == 2
    assert "`memferry audit history` shows them" in unknown.said
