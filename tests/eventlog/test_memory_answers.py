"""What an app answers an audit: sums of what memory held at a barrier, and the rows behind them."""

from collections import deque
from decimal import Decimal
from typing import Any

import psycopg

from eventlog.memory_answers import MemoryAnswers
from schemas import envelope
from schemas.digest import MODULUS, digest_of, value_text
from schemas.lane import partition_of
from schemas.requests import (
    MemoryAnswer,
    MemoryPart,
    MemoryQuestion,
    MemoryRowsQuestion,
    OutboxAnswer,
)
from tests.domains.ledger import ACCOUNTS, READINGS, Account, Reading
from tests.eventlog.app import DEADLINE_S, account, deposited, opened, rows_of, taken
from tests.eventlog.test_requests import Asked, answer_of
from tests.eventlog.writer import Writer

ALL = MemoryQuestion()
Place = tuple[int, str, int, str]


def account_row(found: Account) -> tuple[Any, ...]:
    return (found.account, found.owner, found.balance, found.opened_at, found.tags)


def sums_of(database: psycopg.Connection[Any], asked: Asked) -> dict[Place, tuple[int, int]]:
    return {
        (partition, table, bucket, stream): (rows, int.from_bytes(digest, "big"))
        for partition, table, bucket, stream, rows, digest in database.execute(
            "SELECT partition, table_name, bucket, stream, row_count, digest "
            "FROM memferry.memory_sum WHERE request = %s",
            (asked.id,),
        )
    }


def rows_told(database: psycopg.Connection[Any], asked: Asked) -> list[Any]:
    return database.execute(
        "SELECT partition, table_name, key, digest, row_text FROM memferry.memory_row "
        "WHERE request = %s ORDER BY key",
        (asked.id,),
    ).fetchall()


def expected_sums(writer: Writer) -> dict[Place, tuple[int, int]]:
    found: dict[Place, tuple[int, int]] = {}
    for one in writer.accounts.values():
        bucket, digest = digest_of(ACCOUNTS)(account_row(one))
        place = (partition_of(f"account/{one.account}", 3), "accounts", bucket, "")
        rows, before = found.get(place, (0, 0))
        found[place] = (rows + 1, (before + digest) % MODULUS)
    for meter, ring in writer.rings.items():
        digests = [digest_of(READINGS)((r.meter, r.number, r.value))[1] for r in ring]
        stream = f"reading/{meter}"
        place = (partition_of(stream, 3), "readings", -1, stream)
        found[place] = (len(ring), sum(digests) % MODULUS)
    return found


def test_memory_is_summed_up_by_bucket_and_rings_by_stream(
    writer: Writer, database: psycopg.Connection[Any]
) -> None:
    writer.accounts.update({name: account(name) for name in "abc"})  # the log has these not yet
    writer.ferry.record_all([opened(f"n{number}") for number in range(60)])
    writer.ferry.record_all([taken(meter, n) for meter in "mn" for n in range(5)])

    asked = Asked(writer, "memory", ALL)

    answer = answer_of(asked, MemoryAnswer)
    assert sums_of(database, asked) == expected_sums(writer)
    assert answer.misplaced == []
    assert sorted(answer.heads) == [0, 1, 2]
    assert answer.heads == {
        row.partition: (row.seq, envelope.digest(row.event))
        for row in rows_of(writer.settings.outbox_path)
        if answer.barrier.encode() in row.event
    }


def test_only_the_tables_asked_for_are_told(
    writer: Writer, database: psycopg.Connection[Any]
) -> None:
    writer.ferry.record_all([opened("a"), taken("m", 1)])

    asked = Asked(writer, "memory", MemoryQuestion(["readings"]))

    answer_of(asked, MemoryAnswer)
    assert {table for _, table, *_ in sums_of(database, asked)} == {"readings"}


def test_rows_are_named_as_they_were_at_the_barrier(
    writer: Writer, database: psycopg.Connection[Any]
) -> None:
    writer.ferry.record_all([opened(f"n{number}") for number in range(60)])
    writer.ferry.record_all([taken(meter, n) for meter in "mn" for n in range(5)])
    asked = Asked(writer, "memory", ALL)
    answer_of(asked, MemoryAnswer)
    before, ring = account_row(writer.accounts["n7"]), list(writer.rings["m"])
    writer.ferry.record(deposited("n7", 5, 5))
    writer.ferry.record(taken("m", 9))
    bucket, digest = digest_of(ACCOUNTS)(before)
    partition = partition_of("account/n7", 3)

    parts = [
        MemoryPart(partition, "accounts", bucket=bucket),
        MemoryPart(partition_of("reading/m", 3), "readings", stream="reading/m"),
    ]
    rows = Asked(writer, "memory_rows", MemoryRowsQuestion(str(asked.id), parts))

    assert rows.ended() == ("answered", "", None)
    told = rows_told(database, rows)
    accounts = {key: (told, texts) for _, table, key, told, texts in told if table == "accounts"}
    assert accounts["n7"] == (
        (digest % MODULUS).to_bytes(16, "big"),
        [value_text(value) for value in before],
    )
    assert set(accounts) == {
        name
        for name, one in writer.accounts.items()
        if digest_of(ACCOUNTS)(account_row(one))[0] == bucket
        and partition_of(f"account/{name}", 3) == partition
    }
    readings = [key for _, table, key, *_ in told if table == "readings"]
    assert readings == [f"m/{one.number}" for one in ring]


def test_what_is_not_kept_any_more_is_refused(
    writer: Writer, database: psycopg.Connection[Any]
) -> None:
    asked = [Asked(writer, "memory", ALL) for _ in range(3)]
    for one in asked:
        answer_of(one, MemoryAnswer)
    database.execute("DELETE FROM memferry.request WHERE id = %s", (asked[2].id,))

    told = [
        Asked(writer, "memory_rows", MemoryRowsQuestion(str(one.id), [])).ended() for one in asked
    ]

    assert [state for state, *_ in told] == ["failed", "answered", "failed"]
    assert f"what memory held for audit {asked[0].id} is not kept any more" in told[0][1]


def test_what_memory_held_is_let_go_of_without_being_asked(
    writer: Writer, database: psycopg.Connection[Any]
) -> None:
    answers = MemoryAnswers(writer.ferry)
    asked = Asked(writer, "barrier")
    asked.ended()
    answers.sums(asked.id, ALL, lambda: None)
    answers._next_look = 0.0
    answers.tick(database)
    assert list(answers._kept) == [str(asked.id)]

    database.execute("DELETE FROM memferry.request WHERE id = %s", (asked.id,))
    answers._next_look = 0.0
    answers.tick(database)

    assert answers._kept == {}


def test_what_is_under_a_key_not_its_own_or_twice_is_named(writer: Writer) -> None:
    writer.ferry.record_all([opened("a"), opened("b"), *(taken("m", n) for n in range(3))])
    writer.accounts["a"], writer.accounts["b"] = writer.accounts["b"], writer.accounts["a"]
    writer.accounts["c"] = "junk"  # type: ignore[assignment]
    writer.rings["m"].append(writer.rings["m"][-1])
    writer.rings["n"] = deque([Reading("m", 7, Decimal(1))], maxlen=3)

    asked = Asked(writer, "memory", ALL)

    assert answer_of(asked, MemoryAnswer).misplaced == [
        "account: 'a' holds the entity of 'b'",
        "account: 'b' holds the entity of 'a'",
        "account: 'c' holds a str, no Account",
        "reading: the ring 'm' holds ('m', 2) twice",
        "reading: the ring 'n' holds the entity of ('m', 7)",
    ]


def test_of_many_misplaced_entities_the_first_are_named_and_all_counted(writer: Writer) -> None:
    writer.ferry.record_all([opened(f"n{number:02}") for number in range(50)])
    names = sorted(writer.accounts)
    writer.accounts.update(zip(names, [account("x")] * 50, strict=True))

    misplaced = answer_of(Asked(writer, "memory", ALL), MemoryAnswer).misplaced

    assert len(misplaced) == 21
    assert misplaced[0] == "account: 'n00' holds the entity of 'x'"
    assert misplaced[-1] == "and 30 more"


def test_an_outbox_that_is_whole_has_no_findings(writer: Writer) -> None:
    recorded = writer.ferry.record_all([opened(f"n{number}") for number in range(60)])
    recorded[-1].durable(DEADLINE_S)

    answer = answer_of(Asked(writer, "outbox"), OutboxAnswer)

    assert answer.findings == []
    assert answer.events == 60
    assert answer.first == dict.fromkeys(range(3), 1)
    heads = writer.ferry.written().heads
    assert answer.heads == {p: (head.seq, head.digest) for p, head in heads.items() if p >= 0}
