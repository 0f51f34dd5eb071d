"""The audit job: what it does of its own accord, and what it survives."""

import asyncio
import datetime
import sys
from collections.abc import Callable, Coroutine
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec
import psycopg
import pytest

from compose.stack import Stack
from compose.stack.postgres import Postgres as PostgresPart
from projector.audit.alone import AuditJobRuns, JobTurn
from projector.audit.audit_report import report_of_audit
from projector.audit.history import Begun, Ending, end, kept_audits, kept_report
from projector.audit.hook import Alert
from projector.audit.job import AuditJob, Work
from projector.audit.report import Report
from projector.audit.run import audit
from projector.control_tables import DatabaseUnreachable, Projection
from projector.schedule import Cron, Every
from schemas.settings import Audit, Settings
from tests.domains.ledger import DOMAIN
from tests.projector.app import App, accounts_in
from tests.projector.audit.conftest import Live
from tests.projector.audit.reported import BEGUN, finding, report
from tests.projector.audit.test_throttle import at_work
from tests.projector.broker import Broker
from tests.projector.projecting import eventually, project, projecting

Connection = psycopg.Connection[Any]
AT_ONCE = Every(0.001)
NEVER = Cron("0 0 1 1 *")


def auditing(settings: Settings, *, memory: bool = True, timeout_s: float = 20) -> Work:
    """Return real audits."""

    async def work() -> Report:
        result = await audit(settings, DOMAIN, with_memory=memory, timeout_s=timeout_s)
        return report_of_audit(
            result, projection=settings.projection, started_at=BEGUN, threshold=95
        )

    return work


async def clean() -> Report:
    return report()


def with_audit(settings: Settings, **changes: Any) -> Settings:
    return msgspec.structs.replace(settings, audit=Audit(**changes))


async def ran(run: Coroutine[Any, Any, Any]) -> Any:
    return await asyncio.wait_for(run, 60)


def verdicts(conn: Connection, settings: Settings) -> list[str | None]:
    """Return how the kept audits ended, the newest first."""
    return [one.verdict for one in kept_audits(conn, settings.projection, 10)]


async def test_it_audits_again_and_again_and_keeps_each(
    live: Live, settings: Settings, database: Connection
) -> None:
    alerts: list[Alert] = []
    async with projecting(settings) as projector:
        await eventually(lambda: projector.progress.applied == 10, "the history applied")
        job = AuditJob(
            settings, settings.projection, AT_ONCE, auditing(settings),
            count=2, on_ended=alerts.append,
        )  # fmt: skip
        await ran(job.run())

    assert [alert.verdict for alert in alerts] == ["clean", "clean"]
    assert job.tally.verdicts == {"clean": 2, "findings": 0, "error": 0, "interrupted": 0}
    assert verdicts(database, settings) == ["clean", "clean"]
    assert alerts[0].report == kept_report(database, settings.projection, alerts[0].id)


async def test_an_app_that_is_silent_is_an_error_of_its_audit_and_the_job_goes_on(
    live: Live, settings: Settings, database: Connection, make_live: Callable[..., Live]
) -> None:
    said: list[Alert] = []

    async def work() -> Report:
        return await auditing(settings, timeout_s=20 if said else 0.2)()

    def ended(alert: Alert) -> None:
        said.append(alert)
        if len(said) == 1:
            make_live(settings).deposit("a", 1).durable(5)

    async with projecting(settings) as projector:
        await eventually(lambda: projector.progress.applied == 10, "the history applied")
        live.ferry.close()
        job = AuditJob(
            settings, settings.projection, AT_ONCE, work, count=2, on_ended=ended,
        )  # fmt: skip
        await ran(job.run())

    assert [alert.verdict for alert in said] == ["error", "clean"], said
    assert "source 'app-1' did not answer" in said[0].error
    assert verdicts(database, settings) == ["clean", "error"]
    assert job.tally.verdicts["error"] == 1


async def test_a_database_that_goes_away_ends_no_job_and_the_history_learns_of_it_later(
    app: App, broker: Broker, topic: Settings, own_database: Settings, stack: Stack
) -> None:
    app.open(*accounts_in(0, 3))
    broker.publish(topic, app.rows())
    await project(own_database)
    name, alerts = own_database.projection, list[Alert]()
    superuser = psycopg.connect(PostgresPart(stack.directory).superuser_url, autocommit=True)

    def ended(alert: Alert) -> None:
        alerts.append(alert)
        superuser.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS {len(alerts) != 1}")
        superuser.execute(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = %s",
            (name,),
        )

    with superuser:
        job = AuditJob(
            own_database, name, AT_ONCE, auditing(own_database, memory=False),
            count=3, on_ended=ended,
        )  # fmt: skip
        await ran(job.run())

    assert [alert.verdict for alert in alerts] == ["clean", "error", "clean"]
    assert "PostgreSQL cannot be reached" in alerts[1].error
    with psycopg.connect(own_database.postgres.dsn) as conn:
        assert verdicts(conn, own_database) == ["clean", "error", "clean"]


async def test_a_database_that_is_away_at_the_beginning_ends_it(settings: Settings) -> None:
    away = msgspec.structs.replace(settings.postgres, dsn="host=127.0.0.1 port=1")
    nowhere = msgspec.structs.replace(settings, postgres=away)

    with pytest.raises(DatabaseUnreachable):
        await ran(AuditJob(nowhere, "p", AT_ONCE, clean).run())


@pytest.mark.usefixtures("projection")
async def test_findings_and_errors_run_the_hook_and_clean_audits_do_not(
    settings: Settings, database: Connection, tmp_path: Path
) -> None:
    hook = tmp_path / "hook"
    hook.write_text(
        f"#!{sys.executable}\nimport sys\n"
        "open(__file__ + '.out', 'a').write(sys.stdin.read() + '\\n')\nsys.exit(1)\n"
    )
    hook.chmod(0o755)
    spoilt = report(finding("tables.differs", "a", "b"))
    outcomes = iter([report(), spoilt, None])

    async def work() -> Report:
        outcome = next(outcomes)
        if outcome is None:
            raise ConnectionError("no route")
        return outcome

    hooked = with_audit(settings, hook=str(hook))
    job = AuditJob(hooked, settings.projection, AT_ONCE, work, count=3)
    await ran(job.run())

    lines = (tmp_path / "hook.out").read_text().splitlines()
    found, error = (msgspec.json.decode(line, type=Alert) for line in lines)
    assert (found.verdict, found.report) == ("findings", spoilt)
    assert (error.verdict, error.error) == ("error", "ConnectionError: no route")
    assert verdicts(database, settings) == ["error", "findings", "clean"]
    assert job.tally.verdicts == {"clean": 1, "findings": 1, "error": 1, "interrupted": 0}


@pytest.mark.usefixtures("projection")
async def test_a_second_job_makes_no_audit(settings: Settings, database: Connection) -> None:
    with (
        closing(JobTurn(settings, settings.projection).hold()),
        pytest.raises(AuditJobRuns) as refused,
    ):
        await ran(AuditJob(settings, settings.projection, AT_ONCE, clean).run())

    assert "runs already: process" in refused.value.what
    assert verdicts(database, settings) == []


@pytest.mark.usefixtures("projection")
async def test_a_job_that_lost_its_turn_to_another_ends(
    settings: Settings, database: Connection
) -> None:
    others: list[Connection] = []

    def taken(_: Alert) -> None:
        database.execute(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity "
            "WHERE application_name LIKE 'memferry audit job%%'", ()
        )  # fmt: skip
        others.append(JobTurn(settings, settings.projection).hold())

    job = AuditJob(settings, settings.projection, AT_ONCE, clean, count=2, on_ended=taken)
    with pytest.raises(AuditJobRuns):
        await ran(job.run())

    assert job.tally.verdicts["clean"] == 1
    others[0].close()


@pytest.mark.usefixtures("projection")
async def test_it_ends_at_once_while_it_waits_for_its_time(
    settings: Settings, database: Connection
) -> None:
    said: list[str] = []

    def told(what: str) -> None:
        said.append(what)
        job.stop()

    job = AuditJob(settings, settings.projection, NEVER, clean, told=told)
    await ran(job.run())

    assert job.stopped
    assert said[0].startswith("waits for ")
    assert said[0].endswith("-01-01 00:00:00 UTC")
    assert verdicts(database, settings) == []


@pytest.mark.usefixtures("projection")
async def test_an_audit_under_way_is_interrupted_when_it_is_stopped(
    settings: Settings, database: Connection
) -> None:
    async def work() -> Report:
        asyncio.get_running_loop().call_soon(job.stop)
        await asyncio.Event().wait()
        return report()

    job = AuditJob(settings, settings.projection, AT_ONCE, work)
    await ran(job.run())

    assert job.stopped
    assert job.tally.verdicts["interrupted"] == 1
    assert verdicts(database, settings) == ["interrupted"]


async def test_a_time_that_passed_while_no_job_ran_is_made_up(
    settings: Settings, database: Connection, projection: Projection
) -> None:
    ago = datetime.datetime.now(datetime.UTC) - datetime.timedelta(days=400)
    past = Begun(
        "00000000-0000-4000-8000-" + projection.name[:10].encode().hex()[-12:],
        projection.name, "audit", "process 1 on elsewhere", ago,
    )  # fmt: skip
    end(database, past, Ending("clean", 1, report()), keep_days=1_000)

    job = AuditJob(settings, settings.projection, NEVER, clean, count=1)
    await ran(job.run())

    assert job.tally.verdicts["clean"] == 1


@pytest.mark.usefixtures("projection")
async def test_a_busy_database_is_waited_for_and_its_report_says_so(
    settings: Settings, database: Connection
) -> None:
    alerts, said = list[Alert](), list[str]()
    impatient = with_audit(settings, max_active=1, patience_s=1)
    with at_work(settings, database, 2):
        job = AuditJob(
            impatient, settings.projection, AT_ONCE, clean,
            count=1, on_ended=alerts.append, told=said.append,
        )  # fmt: skip
        await ran(job.run())

    assert any("sessions are at work in the database" in one for one in said)
    assert said[-1] == "audits"
    assert alerts[0].report is not None
    assert "it had waited for 1 s" in alerts[0].report.coverage[-1]
