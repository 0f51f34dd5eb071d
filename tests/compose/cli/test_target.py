from collections.abc import Callable

import msgspec
import pytest

from compose.cli.target import TargetOptions
from projector.replay.target import Target
from schemas.errors import SettingsInvalid
from tests.compose.cli.conftest import Done, Ledger
from tests.projector.app import accounts_in


@pytest.mark.parametrize(
    ("options", "target"),
    [
        (TargetOptions(to_offset="0:1"), Target(offset="0:1")),
        (TargetOptions(to_time="-1m"), Target(time="-1m")),
        (TargetOptions(to_event="x"), Target(event="x")),
        (TargetOptions(before_event="x"), Target(before_event="x")),
        (TargetOptions(to_savepoint=""), Target(savepoint="")),
        (TargetOptions(to_end=True), Target(end=True)),
    ],
)
def test_each_option_is_a_target(options: TargetOptions, target: Target) -> None:
    assert options.given
    assert options.target() == target


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (TargetOptions(), "none was named"),
        (TargetOptions(to_event="x", before_event="x"), "2 were named"),
        (TargetOptions(to_end=True, to_offset="0:1", to_time="-1m"), "3 were named"),
    ],
)
def test_exactly_one_is_wanted(options: TargetOptions, says: str) -> None:
    with pytest.raises(SettingsInvalid) as refused:
        options.target()

    assert says in refused.value.what
    assert "--to-offset, --to-time, --to-event" in refused.value.remedy


def test_a_command_takes_them_all(projected: Ledger, memferry: Callable[..., Done]) -> None:
    stream = f"account/{accounts_in(0, 1)[0]}"
    first = next(
        msgspec.json.decode(row.event)
        for row in projected.app.rows()
        if msgspec.json.decode(row.event)["subject"] == stream
    )

    def wait(*target: str) -> Done:
        return memferry("wait", *target, "--timeout", "0", environment=projected.environment)

    before, behind = wait("--before-event", first["id"]), wait("--to-event", first["id"])
    hour_ago, naive = wait("--to-time=-1h"), wait("--to-time", "2026-11-26T18:30:00")
    at = wait("--to-time", first["time"])

    assert (before.code, before.out) == (0, "the tables hold position 0:0,1:0,2:0\n")
    assert (behind.code, behind.out) == (0, "the tables hold position 0:1,1:0,2:0\n")
    assert hour_ago.out == at.out == before.out
    assert naive.code == 2
    assert "has no zone" in naive.said
