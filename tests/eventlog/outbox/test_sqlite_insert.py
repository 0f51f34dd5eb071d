"""Many rows a statement: all of them, in their order, in few statements."""

import apsw
import pytest

from eventlog.outbox.sqlite_insert import insert


@pytest.fixture
def db() -> apsw.Connection:
    made = apsw.Connection(":memory:")
    made.execute("CREATE TABLE pair (number INTEGER PRIMARY KEY, text TEXT)")
    return made


@pytest.mark.parametrize("count", [0, 1, 2, 7, 8, 511, 512, 513, 1_535, 2_000])
def test_every_row_is_inserted_once(db: apsw.Connection, count: int) -> None:
    columns = (range(count), [f"text {number}" for number in range(count)])

    insert(db, "pair", columns)

    assert list(db.execute("SELECT * FROM pair")) == list(zip(*columns, strict=True))


def test_a_thousand_rows_take_few_statements(db: apsw.Connection) -> None:
    statements: list[str] = []

    def trace(_: apsw.Cursor, sql: str, __: object) -> bool:
        statements.append(sql)
        return True

    db.exec_trace = trace

    insert(db, "pair", (range(1_000), ["text"] * 1_000))

    assert len(statements) <= 7


def test_rows_that_are_there_are_changed_where_the_caller_says_how(db: apsw.Connection) -> None:
    insert(db, "pair", (range(700), ["old"] * 700))

    changed = "ON CONFLICT (number) DO UPDATE SET text = excluded.text"
    insert(db, "pair", (range(600), ["new"] * 600), changed)

    texts = [text for (text,) in db.execute("SELECT text FROM pair ORDER BY number")]
    assert texts == ["new"] * 600 + ["old"] * 100
