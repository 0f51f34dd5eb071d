from collections.abc import Callable

import psycopg

from tests.compose.cli.conftest import Done, Ledger


def edit(ledger: Ledger, statement: str) -> None:
    with psycopg.connect(ledger.settings.postgres.dsn) as conn:
        conn.execute(f"SET search_path TO {ledger.settings.projection}")
        conn.execute(statement)


def test_a_row_that_is_equal_ends_with_0(projected: Ledger, memferry: Callable[..., Done]) -> None:
    arguments = ("audit", "bisect", "--table", "accounts", "--key", "acc-1")
    done = memferry(*arguments, environment=projected.environment)

    assert done.code == 0, done.err
    assert "tables: equal: the row is what the log says" in done.out
    assert "ledger.account.opened.v1" in done.out


def test_an_edited_row_ends_with_1_and_names_column_value_and_event(
    projected: Ledger, memferry: Callable[..., Done]
) -> None:
    edit(projected, "UPDATE accounts SET owner = 'Eve [red]' WHERE account = 'acc-1'")

    arguments = ("audit", "bisect", "--table", "accounts", "--key", "acc-1")
    shown = memferry(*arguments, environment=projected.environment)
    document = memferry(*arguments, "--json", environment=projected.environment)

    assert shown.code == document.code == 1
    assert "tables: edited: no event left the row so: somebody changed owner" in shown.out
    assert "first event after which they differ: ledger.account.opened.v1" in shown.out
    assert "Eve [red]" in shown.out
    assert "OWNER" in shown.out
    (found,) = document.json()
    assert found["tables"]["verdict"] == "edited"
    assert found["tables"]["columns"][0]["column"] == "owner"
    assert found["tables"]["event"]["offset"] == found["steps"][0]["event"]["offset"]


def test_without_a_row_the_findings_of_an_audit_are_looked_into(
    projected: Ledger, memferry: Callable[..., Done]
) -> None:
    edit(projected, "INSERT INTO readings VALUES ('nobody', 1, 1), ('nobody', 2, 1)")
    edit(projected, "DELETE FROM accounts WHERE account = 'acc-1'")

    every = memferry("audit", "bisect", "--json", environment=projected.environment)
    first = memferry("audit", "bisect", "--most", "1", environment=projected.environment)

    assert every.code == first.code == 1
    assert [(one["key"], one["tables"]["verdict"]) for one in every.json()] == [
        ("acc-1", "missing"), ("nobody/1", "unexplained"), ("nobody/2", "unexplained"),
    ]  # fmt: skip
    assert first.out.count("tables:") == 1


def test_nothing_to_look_into_ends_with_0(projected: Ledger, memferry: Callable[..., Done]) -> None:
    done = memferry("audit", "bisect", environment=projected.environment)

    assert (done.code, done.out) == (0, "the audit names no row that differs\n")


def test_half_of_a_name_is_a_mistake_of_usage(
    projected: Ledger, memferry: Callable[..., Done]
) -> None:
    for arguments in (("--table", "accounts"), ("--key", "acc-1"), ("--most", "0")):
        done = memferry("audit", "bisect", *arguments, environment=projected.environment)
        assert done.code == 2
    wrong = ("--table", "no_table", "--key", "a")
    other = memferry("audit", "bisect", *wrong, environment=projected.environment)

    assert other.code == 2
    assert "it has: accounts, readings" in other.said
