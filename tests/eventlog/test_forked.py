"""A forked child has no commit thread: what it would record is refused by name."""

import os

from eventlog.entry import FerryClosed
from tests.eventlog.app import DEADLINE_S, App, opened


def test_a_forked_child_records_nothing_and_its_parent_goes_on(app: App) -> None:
    app.ferry.record(opened("a")).durable(DEADLINE_S)
    child = os.fork()
    if child == 0:
        try:
            app.ferry.record(opened("b"))
        except FerryClosed as error:
            os._exit(7 if "forked" in str(error) and "b" not in app.accounts else 8)
        os._exit(9)
    _, status = os.waitpid(child, 0)

    assert os.waitstatus_to_exitcode(status) == 7
    app.ferry.record(opened("c")).durable(DEADLINE_S)
    assert set(app.accounts) == {"a", "c"}
