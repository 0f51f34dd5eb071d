"""Requests and their answers: JSON in a row, read as it was written."""

from typing import get_args

import msgspec
import pytest

from schemas.extraction import FieldStatistics, KindStatistics, QualityWarning
from schemas.requests import (
    AppWalked,
    BarrierAnswer,
    CatalogAnswer,
    ContainerDescription,
    ExtractionAnswer,
    MemoryAnswer,
    OutboxAnswer,
    RequestKind,
    SampleAnswer,
    SnapshotAnswer,
    StatisticsAnswer,
    StoreDescription,
)
from schemas.table_sums import TableSums

ANSWERS: list[msgspec.Struct] = [
    CatalogAnswer(
        "app-1",
        17,
        [StoreDescription("account", "Account", "dict", 3, 3, 2, False, "app.accounts", 900)],
        ["reading"],
        AppWalked(1, 9, True, [ContainerDescription("app.x", "dict of 1 X")], {"app.y": "z"}),
    ),
    StatisticsAnswer(
        "app-1",
        [
            KindStatistics(
                "account",
                3,
                2,
                "opened_at",
                [FieldStatistics("balance", 2, 0, 2, True, "0")],
                [QualityWarning("stale", "account", "opened_at", 1, "old", ["a"])],
                [{"a": 1}],
            )
        ],
    ),
    SnapshotAnswer(3, 9, False, "an entity is invalid"),
    BarrierAnswer({0: 5, 2: 9}, "c-1", {0: {"accounts": TableSums("", None)}}),
    MemoryAnswer("b-1", {0: (5, "ab" * 32)}, ["account: 'a' holds the entity of 'b'"]),
    OutboxAnswer(7, ["row 3: it is broken"], {0: 1}, {0: (7, "ab" * 32)}),
    ExtractionAnswer("app-1", 17, {"account": 3}),
    SampleAnswer(7, ["account a: balance"]),
]


@pytest.mark.parametrize("answer", ANSWERS, ids=lambda answer: type(answer).__name__)
def test_an_answer_is_read_as_it_was_written(answer: msgspec.Struct) -> None:
    in_a_row = msgspec.json.decode(msgspec.json.encode(answer))  # numbers as keys become text

    assert msgspec.convert(in_a_row, type(answer), strict=False) == answer


def test_a_snapshot_that_stopped_for_no_reason_has_none() -> None:
    found = msgspec.json.decode(b'{"streams": 1, "total": 1, "done": true}', type=SnapshotAnswer)

    assert found == SnapshotAnswer(1, 1, True, "")


def test_what_may_be_asked_does_not_change_under_apps_out_there() -> None:
    assert get_args(RequestKind) == (
        "memory", "memory_rows", "outbox", "catalog", "snapshot", "barrier", "sample",
        "statistics", "extraction", "rollback",
    )  # fmt: skip


def test_an_app_of_before_says_nothing_of_memory_and_of_walks() -> None:
    old = b'{"source":"a","pid":1,"unregistered":[],"stores":[{"kind":"k","entity":"K",'
    old += b'"container":"dict","streams":1,"entities":1,"unrecorded":0,"windowed":false}]}'

    found = msgspec.json.decode(old, type=CatalogAnswer)

    assert (found.stores[0].memory_bytes, found.walked) == (0, AppWalked())
