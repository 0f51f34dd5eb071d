import asyncio
from dataclasses import replace
from typing import Any

import psycopg
import pytest

from projector.checkpoint import ProjectionHeld, claim, require_held
from projector.control_tables import TablesMissing, establish, read_projection
from projector.fingerprint import (
    FingerprintChanged,
    accept_code,
    changed_parts,
    store_fingerprint,
)
from projector.runner import Projector
from projector.status import read_status
from schemas.domain import Domain
from schemas.fingerprint import changed_since, fingerprint
from schemas.settings import Settings
from schemas.tables import Change
from schemas.upcasting import Upcaster
from tests.domains import ledger, versioned
from tests.domains.ledger import ACCOUNT, DOMAIN, READING
from tests.projector.app import App, accounts_in, tables
from tests.projector.broker import Broker
from tests.projector.projecting import eventually, project
from tests.projector.replaying import replay_to_end

(A,) = accounts_in(0, 1)


def other_handler(event: Any) -> tuple[Change, ...]:
    return ledger._project_account(event)


CHANGED = Domain("ledger", (replace(ACCOUNT, project=other_handler), READING), DOMAIN.ddl)
OTHER_DDL = Domain("ledger", DOMAIN.kinds, DOMAIN.ddl.replace("owner text", "owner varchar(90)"))


def test_a_comment_in_the_ddl_or_another_layout_changes_nothing() -> None:
    laid_out = DOMAIN.ddl.replace("CREATE TABLE", "-- hm\nCREATE  TABLE").replace(",", " ,\n")

    assert fingerprint(ACCOUNT, DOMAIN.ddl) == fingerprint(ACCOUNT, laid_out.replace(" ,", ","))


def test_another_step_between_versions_changes_the_upcasters_alone() -> None:
    changed = {
        name: Upcaster(u.struct, u.to, lambda event: event)
        for name, u in versioned.KIND.upcasters.items()
    }
    before = fingerprint(versioned.KIND, versioned.DOMAIN.ddl)

    now = fingerprint(replace(versioned.KIND, upcasters=changed), versioned.DOMAIN.ddl)

    assert {part for part in now if now[part] != before[part]} == {
        "upcaster versioned.fee.charged.v1", "upcaster versioned.fee.charged.v2"
    }  # fmt: skip


def test_a_new_version_of_an_event_changes_the_handlers_though_none_was_written_anew() -> None:
    kind, third, ddl = versioned.KIND, "versioned.fee.charged.v3", versioned.DOMAIN.ddl

    class FeeChargedV4(versioned.FeeCharged, frozen=True):
        by: str = ""

    step = Upcaster(versioned.FeeCharged, "versioned.fee.charged.v4", lambda event: event)
    events = {name: event for name, event in kind.events.items() if name != third}
    now = replace(
        kind,
        events={"versioned.fee.charged.v4": FeeChargedV4, **events},
        upcasters={**kind.upcasters, third: step},
    )

    assert changed_since(fingerprint(kind, ddl), fingerprint(now, ddl)) == ["handlers"]


def test_a_version_that_comes_to_a_kind_is_no_change_and_one_that_goes_is(
    settings: Settings, database: psycopg.Connection[Any]
) -> None:
    kind = versioned.KIND
    second = "versioned.fee.charged.v2"
    fewer = Domain(
        "versioned", (replace(kind, upcasters={second: kind.upcasters[second]}),),
        versioned.DOMAIN.ddl,
    )  # fmt: skip
    establish(database, settings, fewer, 3)

    establish(database, settings, versioned.DOMAIN, 3)

    with pytest.raises(FingerprintChanged, match="upcaster versioned"):
        establish(database, settings, fewer, 3)


def test_code_may_be_accepted_and_the_trail_says_so(
    settings: Settings, database: psycopg.Connection[Any]
) -> None:
    establish(database, settings, DOMAIN, 3)

    assert accept_code(database, settings.projection, CHANGED)

    establish(database, settings, CHANGED, 3)
    assert not accept_code(database, settings.projection, CHANGED)
    row = database.execute(
        "SELECT before, after FROM memferry.trail WHERE action = 'code accepted' "
        "AND after ->> 'projection' = %s",
        (settings.projection,),
    ).fetchone()
    assert row
    assert row[0]["account"]["handlers"] != row[1]["account"]["handlers"]


@pytest.mark.parametrize(
    ("domain", "said"), [(CHANGED, "account: handlers"), (OTHER_DDL, "account: tables")]
)
def test_other_code_may_not_apply_to_the_rows(
    settings: Settings, database: psycopg.Connection[Any], domain: Domain, said: str
) -> None:
    establish(database, settings, DOMAIN, 3)

    with pytest.raises(FingerprintChanged, match=said):
        establish(database, settings, domain, 3)
    establish(database, settings, DOMAIN, 3)


def test_a_projection_from_before_takes_the_code_that_it_meets_first(
    settings: Settings, database: psycopg.Connection[Any]
) -> None:
    establish(database, settings, DOMAIN, 3)
    database.execute(
        "DELETE FROM memferry.fingerprint WHERE projection = %s", (settings.projection,)
    )

    establish(database, settings, CHANGED, 3)

    with pytest.raises(FingerprintChanged):
        establish(database, settings, DOMAIN, 3)


def test_a_kind_that_is_new_is_no_change_but_needs_its_tables(
    settings: Settings, database: psycopg.Connection[Any]
) -> None:
    parts = DOMAIN.ddl.split("CREATE TABLE readings")
    establish(database, settings, Domain("ledger", (ACCOUNT,), parts[0]), 3)

    with pytest.raises(TablesMissing, match="readings") as missing:
        establish(database, settings, DOMAIN, 3)

    assert "memferry sql apply" in missing.value.remedy
    assert changed_parts(database, settings.projection, DOMAIN) == {}


@pytest.mark.parametrize("domain", [CHANGED, OTHER_DDL])
async def test_a_replay_makes_the_rows_anew_with_the_code_of_now(
    topic: Settings,
    app: App,
    broker: Broker,
    database: psycopg.Connection[Any],
    domain: Domain,
) -> None:
    app.open(A)
    broker.publish(topic, app.rows())
    await project(topic)

    await replay_to_end(topic, domain=domain)

    assert changed_parts(database, topic.projection, domain) == {}
    assert tables(database, topic.projection) == app.expected()
    row = database.execute(
        "SELECT data_type FROM information_schema.columns "
        "WHERE table_schema = %s AND table_name = 'accounts' AND column_name = 'owner'",
        (topic.projection,),
    ).fetchone()
    assert row == ("character varying" if domain is OTHER_DDL else "text",)
    app.deposit(A, 1)
    broker.publish(topic, app.rows()[-1:])
    await project(topic, domain=domain)
    assert tables(database, topic.projection) == app.expected()


def test_a_projector_of_old_code_can_claim_nothing_behind_a_replay_with_new(
    settings: Settings, database: psycopg.Connection[Any]
) -> None:
    before = establish(database, settings, DOMAIN, 3)
    with database.transaction():
        store_fingerprint(database, settings.projection, CHANGED)
    now = establish(database, settings, CHANGED, 3)
    held = claim(database, now, "live")

    with pytest.raises(ProjectionHeld, match="made with other code by now"):
        claim(database, before, "live")

    require_held(database, held)  # nor did it take anything


async def test_a_projector_that_missed_a_replay_with_other_code_does_not_go_on(
    topic: Settings, app: App, broker: Broker, database: psycopg.Connection[Any]
) -> None:
    app.open(A)
    broker.publish(topic, app.rows())
    projector = Projector(topic, DOMAIN)
    running = asyncio.create_task(projector.run())
    await eventually(lambda: projector.progress.applied == 1, "the account is applied")
    with database.transaction():  # as a replay leaves it that is over before anybody looked
        store_fingerprint(database, topic.projection, CHANGED)
        claim(database, read_projection(database, topic.projection), "live")

    app.deposit(A, 1)
    broker.publish(topic, app.rows()[-1:])

    with pytest.raises(FingerprintChanged, match="account: handlers"):
        await asyncio.wait_for(running, 30)
    assert tables(database, topic.projection) != app.expected()


async def test_the_status_names_code_that_has_changed(topic: Settings, app: App) -> None:
    await project(topic)

    assert (await read_status(topic, DOMAIN)).changed == {}
    assert (await read_status(topic, CHANGED)).changed == {"account": ["handlers"]}
