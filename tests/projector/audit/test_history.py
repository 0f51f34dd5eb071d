"""Audits in memferry.audit: written, read again, forgotten; whatever becomes of their process."""

import datetime
import logging
import uuid
from typing import Any

import msgspec
import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from compose.stack import Stack
from compose.stack.postgres import Postgres as PostgresPart
from projector.audit.history import (
    AuditUnknown,
    Begun,
    Ending,
    begin,
    end,
    kept_audits,
    kept_report,
    last_audits,
    note_interrupted,
)
from projector.audit.kept import kept
from projector.control_tables import DatabaseUnreachable, Projection
from schemas.errors import FerryError
from schemas.settings import Settings
from tests.projector.audit.reported import finding, report

Connection = psycopg.Connection[Any]


def id_of(projection: Projection, number: int = 0) -> str:
    return str(uuid.uuid5(uuid.NAMESPACE_OID, f"{projection.name} {number}"))


def begun(projection: Projection, number: int = 0, age_days: float = 0) -> Begun:
    started_at = datetime.datetime.now(datetime.UTC) - datetime.timedelta(days=age_days)
    return Begun(
        id_of(projection, number), projection.name, "audit", "process 7 on a-host", started_at
    )


def read_only(settings: Settings) -> Settings:
    dsn = make_conninfo(settings.postgres.dsn, options="-c default_transaction_read_only=on")
    return msgspec.structs.replace(
        settings, postgres=msgspec.structs.replace(settings.postgres, dsn=dsn)
    )


def test_what_an_audit_came_to_is_kept_and_read_again(
    database: Connection, projection: Projection
) -> None:
    found = report(finding("tables.differs", "a", "b"), finding("log.broken", "x"), score=80)
    one = begun(projection)

    begin(database, one)
    under_way = kept_audits(database, projection.name, 5)
    end(database, one, Ending("findings", 2.5, found), keep_days=90)

    assert [(k.verdict, k.ended_at, k.holder) for k in under_way] == [
        (None, None, "process 7 on a-host")
    ]
    (kept_one,) = kept_audits(database, projection.name, 5)
    assert (kept_one.verdict, kept_one.findings, kept_one.rows) == ("findings", 3, 10)
    assert (kept_one.score, kept_one.seconds, kept_one.position) == (80, 2.5, "0:7")
    assert kept_one.ended_at == one.started_at + datetime.timedelta(seconds=2.5)
    assert kept_report(database, projection.name, id_of(projection)) == found
    assert kept_report(database, projection.name, id_of(projection)[:4]) == found


def test_a_key_that_no_database_text_can_hold_is_kept_in_a_readable_form(
    database: Connection, projection: Projection
) -> None:
    found = report(finding("memory.extra", "a\0b", "c\\u0000d"))

    end(database, begun(projection), Ending("findings", 1, found), keep_days=90)

    (read,) = kept_report(database, projection.name, id_of(projection)).findings
    assert read.rows == ["a\ufffdb", "c\\u0000d"]


def test_the_newest_come_first_and_only_of_their_projection(
    database: Connection, projection: Projection
) -> None:
    for number, age_days in enumerate((2.0, 1.0, 3.0)):
        end(database, begun(projection, number, age_days), Ending("clean", 1, report()), 90)
    other = msgspec.structs.replace(begun(projection, 3), projection="another")
    end(database, other, Ending("clean", 1, report()), 90)

    assert [k.id for k in kept_audits(database, projection.name, 5)] == [
        id_of(projection, 1),
        id_of(projection),
        id_of(projection, 2),
    ]
    assert len(kept_audits(database, projection.name, 2)) == 2


def test_what_is_older_than_it_is_kept_is_forgotten(
    database: Connection, projection: Projection
) -> None:
    end(database, begun(projection, 0, age_days=31), Ending("clean", 1, report()), 90)
    end(database, begun(projection, 1, age_days=29), Ending("clean", 1, report()), 90)

    end(database, begun(projection, 2), Ending("clean", 1, report()), keep_days=30)

    assert {k.id for k in kept_audits(database, projection.name, 5)} == {
        id_of(projection, 1),
        id_of(projection, 2),
    }


def test_an_audit_whose_connection_is_gone_was_interrupted_and_one_that_lives_was_not(
    database: Connection, projection: Projection, settings: Settings
) -> None:
    with psycopg.connect(settings.postgres.dsn, autocommit=True) as dying:
        begin(dying, begun(projection, 0))
    begin(database, begun(projection, 1))
    with psycopg.connect(settings.postgres.dsn, autocommit=True) as another:
        noted = note_interrupted(another, projection.name)
        again = note_interrupted(another, projection.name)

    assert [(one.id, one.holder) for one in noted] == [(id_of(projection), "process 7 on a-host")]
    assert again == []
    verdicts = {k.id: k.verdict for k in kept_audits(database, projection.name, 5)}
    assert verdicts == {id_of(projection): "interrupted", id_of(projection, 1): None}


def test_the_last_audits_are_those_that_came_to_an_end(
    database: Connection, projection: Projection
) -> None:
    nothing = last_audits(database, projection.name)
    ages = {"clean": 3.0, "findings": 2.0, "interrupted": 1.0}
    found = [begun(projection, number, age) for number, age in enumerate(ages.values())]
    for one, verdict in zip(found, ages, strict=True):
        end(database, one, Ending(verdict, 60), keep_days=90)  # type: ignore[arg-type]

    last = last_audits(database, projection.name)

    assert nothing == (None, None)
    assert last.begun == found[1].started_at
    assert last.clean == found[0].started_at + datetime.timedelta(seconds=60)


@pytest.mark.parametrize("id_", ["", "x", "%", "_"])
def test_an_id_that_names_no_audit_is_told(
    database: Connection, projection: Projection, id_: str
) -> None:
    end(database, begun(projection), Ending("clean", 1, report()), 90)

    with pytest.raises(AuditUnknown) as unknown:
        kept_report(database, projection.name, id_)

    assert "no audit's id begins with" in unknown.value.what


def test_an_id_that_two_begin_with_and_an_audit_without_a_report_are_told(
    database: Connection, projection: Projection
) -> None:
    alike = msgspec.structs.replace(begun(projection), id=id_of(projection)[:-4] + "ffff")
    end(database, begun(projection), Ending("error", 1, error="no answer"), 90)
    end(database, alike, Ending("clean", 1, report()), 90)

    with pytest.raises(AuditUnknown, match="more than one audit's id begins with"):
        kept_report(database, projection.name, id_of(projection)[:8])
    with pytest.raises(AuditUnknown, match="came to no report"):
        kept_report(database, projection.name, id_of(projection))


@pytest.mark.usefixtures("projection")
def test_work_is_kept_with_its_report_or_its_error(
    database: Connection, settings: Settings
) -> None:
    name = settings.projection
    with kept(settings, name, "validation") as keeping:
        keeping.ended(report())
    with pytest.raises(FerryError), kept(settings, name, "audit"):
        raise FerryError("it broke", where="here", remedy="mend it")
    with pytest.raises(KeyboardInterrupt), kept(settings, name, "audit"):
        raise KeyboardInterrupt

    found = kept_audits(database, name, 5)
    assert [(k.kind, k.verdict) for k in found] == [
        ("audit", "interrupted"), ("audit", "error"), ("validation", "clean")
    ]  # fmt: skip
    assert found[1].error == "it broke\n  where: here\n  next:  mend it"
    assert kept_report(database, name, keeping.begun.id) == report()


@pytest.mark.usefixtures("projection")
def test_who_may_only_read_audits_all_the_same_and_is_told_that_nothing_is_kept(
    database: Connection, settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    with (
        caplog.at_level(logging.WARNING),
        kept(read_only(settings), settings.projection, "audit") as keeping,
    ):
        keeping.ended(report())

    assert keeping.ending is not None
    assert "does not keep this audit" in caplog.text
    assert "read-only transaction" in caplog.text
    assert not keeping.owed
    assert kept_audits(database, settings.projection, 5) == []


def test_a_role_with_select_alone_can_audit_and_keeps_nothing(
    database: Connection, projection: Projection, settings: Settings, stack: Stack,
    caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    role = f"auditor_{projection.name}"
    with psycopg.connect(PostgresPart(stack.directory).superuser_url, autocommit=True) as superuser:
        superuser.execute(f"CREATE ROLE {role} LOGIN PASSWORD 'x'")
    database.execute(f"GRANT USAGE ON SCHEMA memferry TO {role}")
    database.execute(f"GRANT SELECT ON ALL TABLES IN SCHEMA memferry TO {role}")
    dsn = make_conninfo(settings.postgres.dsn, user=role, password="x")  # noqa: S106
    theirs = msgspec.structs.replace(settings.postgres, dsn=dsn)
    auditor = msgspec.structs.replace(settings, postgres=theirs)

    with caplog.at_level(logging.WARNING), kept(auditor, projection.name, "audit") as keeping:
        keeping.ended(report())

    assert "permission denied for table audit" in caplog.text
    with psycopg.connect(dsn) as theirs_conn:
        assert kept_audits(theirs_conn, projection.name, 5) == []


def test_a_database_without_the_table_is_named_with_what_makes_it(
    own_database: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING), kept(own_database, "p", "audit") as keeping:
        keeping.ended(report())

    assert "`memferry project` makes what is missing" in caplog.text


@pytest.mark.usefixtures("projection")
def test_an_audit_while_the_database_is_away_is_owed_and_paid_later(
    database: Connection, settings: Settings
) -> None:
    nowhere = make_conninfo(settings.postgres.dsn, port=1)
    away = msgspec.structs.replace(
        settings, postgres=msgspec.structs.replace(settings.postgres, dsn=nowhere)
    )

    with (
        pytest.raises(DatabaseUnreachable),
        kept(away, settings.projection, "audit") as keeping,
    ):
        raise DatabaseUnreachable("it is away")
    owed = keeping.owed
    keeping.pay(database, keep_days=90)

    assert (owed, keeping.owed) == (True, False)
    (found,) = kept_audits(database, settings.projection, 5)
    assert (found.id, found.verdict, found.error) == (keeping.begun.id, "error", "it is away")


@pytest.mark.usefixtures("projection")
def test_a_connection_that_is_lost_meanwhile_costs_nothing(
    database: Connection, settings: Settings
) -> None:
    with kept(settings, settings.projection, "audit") as keeping:
        database.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE application_name = 'memferry audit history'"
        )
        keeping.ended(report())

    assert [k.verdict for k in kept_audits(database, settings.projection, 5)] == ["clean"]
