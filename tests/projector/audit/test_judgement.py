from projector.audit.judgement import LogEvent, Step, judge
from schemas.tables import Table

TABLE = Table("accounts", ("account", "owner", "balance"), ("account",))


def event(offset: int) -> LogEvent:
    return LogEvent(0, offset, f"e{offset}", "ledger.account.x.v1", "t", offset + 1, "app-1")


def steps(*states: tuple[str, str] | None) -> list[Step]:
    return [
        Step(event(offset), None if state is None else ("a", *state))
        for offset, state in enumerate(states)
    ]


HISTORY = steps(("Ada", "0"), ("Ada", "5"), ("Eve", "5"), ("Eve", "9"))


def test_a_row_as_the_last_event_left_it_is_equal() -> None:
    found = judge(TABLE, HISTORY, ("a", "Eve", "9"))

    assert (found.verdict, found.event, found.columns) == ("equal", None, [])


def test_no_row_where_the_log_has_none_is_absent() -> None:
    ended = steps(("Ada", "0"), None)

    assert judge(TABLE, [], None).verdict == "absent"
    assert judge(TABLE, ended, None).verdict == "absent"


def test_a_row_as_an_earlier_event_left_it_names_the_event_after_that_one() -> None:
    found = judge(TABLE, HISTORY, ("a", "Ada", "5"))

    assert (found.verdict, found.event) == ("behind", event(2))
    assert "2 events, are not in it" in found.says
    assert [column.column for column in found.columns] == ["owner", "balance"]


def test_of_equal_states_the_last_one_counts() -> None:
    there_and_back = steps(("Ada", "0"), ("Ada", "5"), ("Ada", "0"), ("Ada", "7"))

    assert judge(TABLE, there_and_back, ("a", "Ada", "0")).event == event(3)


def test_an_end_that_is_not_in_the_table_is_named() -> None:
    ended = steps(("Ada", "0"), ("Ada", "5"), None)

    found = judge(TABLE, ended, ("a", "Ada", "5"))

    assert (found.verdict, found.event) == ("behind", event(2))


def test_an_edited_row_names_for_each_column_the_last_event_that_agreed() -> None:
    found = judge(TABLE, HISTORY, ("a", "Ada", "7"))

    assert found.verdict == "edited"
    owner, balance = found.columns
    assert (owner.column, owner.agreed_after, owner.differs_since) == ("owner", event(1), event(2))
    assert (balance.agreed_after, balance.differs_since) == (None, event(0))
    assert found.event == event(0)


def test_a_column_that_no_event_ever_moved_differs_since_the_first() -> None:
    found = judge(TABLE, HISTORY, ("a", "Mallory", "9"))

    (owner,) = found.columns
    assert (owner.held, owner.expected) == ("Mallory", "Eve")
    assert (owner.agreed_after, owner.differs_since) == (None, event(0))


def test_a_row_that_no_event_makes_is_unexplained() -> None:
    refused = [Step(event(0), None, "it does not follow")]

    assert judge(TABLE, [], ("a", "Ada", "5")).verdict == "unexplained"
    assert judge(TABLE, refused, ("a", "Ada", "5")).verdict == "unexplained"


def test_an_edited_row_that_the_log_ended_names_the_end() -> None:
    ended = steps(("Ada", "0"), None)

    found = judge(TABLE, ended, ("a", "Ada", "7"))

    assert (found.verdict, found.event) == ("edited", event(1))
    assert "ended the row" in found.says


def test_a_row_that_is_not_there_names_the_event_that_made_it_last() -> None:
    made_twice = steps(("Ada", "0"), None, ("Ada", "0"), ("Ada", "5"))

    found = judge(TABLE, made_twice, None)

    assert (found.verdict, found.event) == ("missing", event(2))
