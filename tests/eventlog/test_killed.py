"""Killed at every point between memory and the topic: nothing is lost, and nothing is there twice.

The points lie where the process meets the disk or the broker; after each, a new instance goes on.
"""

import signal
import subprocess
import sys
from collections.abc import Callable

import msgspec
import pytest

import eventlog
from eventlog.outbox.integrity import check_whole
from schemas import envelope
from schemas.lane import CONTROL_PARTITION
from schemas.settings import Settings
from tests.domains.ledger import Account
from tests.eventlog.app import DEADLINE_S, deposited, fold, opened, rows_of
from tests.eventlog.broker import events_of, records_of
from tests.eventlog.killed_child import BEFORE, VICTIM
from tests.projector.migration.stage import lane_faults

Attach = Callable[..., eventlog.Ferry]


def as_child_has_it(settings: Settings, mode: str) -> Settings:
    replace = msgspec.structs.replace
    return replace(
        settings,
        relay=replace(settings.relay, mode=mode, compression="none"),
        outbox=replace(settings.outbox, prune="applied", trust_kafka=True),
    )


def begin(role: str, point: str, settings: Settings) -> subprocess.Popen[str]:
    text = msgspec.json.encode(settings).decode()
    return subprocess.Popen(
        [sys.executable, "-m", "tests.eventlog.killed_child", role, point, text],
        stdout=subprocess.PIPE,
        text=True,
    )


def killed(role: str, point: str, settings: Settings) -> list[str]:
    """Run a child until it has killed itself; return what it said."""
    process = begin(role, point, settings)
    said, _ = process.communicate(timeout=60)
    assert process.returncode == -signal.SIGKILL, said
    return said.splitlines()


def in_topic(settings: Settings) -> list[bytes]:
    return sorted(event for lane in events_of(settings).values() for event in lane)


def require_all_in_order(settings: Settings, ferry: eventlog.Ferry) -> None:
    """Demand that a last event gets through, and that outbox, topic and log say the same."""
    ferry.record(opened("last")).replicated(DEADLINE_S)
    held = sorted(row.event for row in rows_of(settings.outbox_path))
    found = in_topic(settings)
    assert set(held) <= set(found)
    assert check_whole(settings.outbox_path)[1] == []
    assert lane_faults(settings) == []  # by code that shares nothing with ours


def names_in_topic(settings: Settings) -> list[str]:
    found = [event for p, lane in events_of(settings).items() if p >= 0 for event in lane]
    return [envelope.decode(event).subject.removeprefix("account/") for event in found]


@pytest.mark.parametrize("mode", ["thread", "process"])
@pytest.mark.parametrize(("point", "survives"), [("before commit", False), ("after commit", True)])
def test_an_app_killed_around_its_commit_has_what_was_committed(
    mode: str, point: str, survives: bool, kafka_settings: Settings, attach: Attach
) -> None:
    settings = as_child_has_it(kafka_settings, mode)

    said = killed("app", point, settings)

    assert said == []
    accounts: dict[str, Account] = {}
    ferry = attach(as_child_has_it(kafka_settings, "thread"), accounts)
    assert (VICTIM in accounts) == survives
    assert len(accounts) == BEFORE + survives
    require_all_in_order(settings, ferry)
    names = names_in_topic(settings)
    assert sorted(names) == sorted([*accounts])
    assert fold(rows_of(settings.outbox_path))["account"] == accounts


def test_an_app_killed_before_the_broker_answers_sends_nothing_twice_in_effect(
    kafka_settings: Settings, attach: Attach
) -> None:
    settings = as_child_has_it(kafka_settings, "thread")

    said = killed("app", "after send", settings)

    assert "replicated victim" not in said
    accounts: dict[str, Account] = {}
    ferry = attach(settings, accounts)
    assert VICTIM in accounts
    require_all_in_order(settings, ferry)
    assert sorted(names_in_topic(settings)) == sorted([*accounts])


@pytest.mark.parametrize("point", ["after send", "after ack"])
def test_a_relay_killed_around_the_brokers_answer_is_followed_by_one_that_goes_on(
    point: str, kafka_settings: Settings, attach: Attach
) -> None:
    settings = as_child_has_it(kafka_settings, "process")
    accounts: dict[str, Account] = {}
    ferry = attach(settings, accounts)
    relay = begin("relay", point, settings)
    for number in range(BEFORE):
        ferry.record(opened(str(number))).replicated(DEADLINE_S)
    unsure = ferry.record(opened(VICTIM))
    unsure.durable(DEADLINE_S)

    assert relay.wait(60) == -signal.SIGKILL

    assert relay.stdout is not None
    relay.stdout.close()
    assert ferry.promises.replicated_row == BEFORE + 1
    successor = begin("relay", "", settings)
    unsure.replicated(DEADLINE_S)
    require_all_in_order(settings, ferry)
    successor.terminate()
    successor.communicate()
    assert sorted(names_in_topic(settings)) == sorted([*accounts])
    sent = sum(len(records) for records in records_of(settings).values())
    assert sent == BEFORE + 3, "the topic itself says where to go on"


@pytest.mark.parametrize("point", ["before prune", "after prune"])
def test_an_app_killed_while_it_prunes_goes_on_from_the_log(
    point: str, kafka_settings: Settings, attach: Attach
) -> None:
    settings = as_child_has_it(kafka_settings, "thread")

    said = killed("app", point, settings)

    assert said == ["durable victim", "replicated victim"]
    rows = [row for row in rows_of(settings.outbox_path) if row.partition != CONTROL_PARTITION]
    assert len(rows) == (BEFORE + 1 if point == "before prune" else 0)
    accounts: dict[str, Account] = {}
    ferry = attach(settings, accounts)
    assert len(accounts) == BEFORE + 1
    ferry.record(deposited(VICTIM, 1, 1)).replicated(DEADLINE_S)
    require_all_in_order(settings, ferry)
    assert max(row.row for row in rows_of(settings.outbox_path)) == BEFORE + 4
    assert len(names_in_topic(settings)) == BEFORE + 3
