"""Commands are as durable as their events, asked of every outbox there is."""

from collections.abc import Callable
from pathlib import Path

import pytest

from eventlog.outbox.contract import Command, KeptEvent, Outbox
from tests.eventlog.app import IDENTITY
from tests.eventlog.outbox.appender import OUTBOXES, Item

Open = Callable[[], Outbox]
CONTENT = bytes(range(32))


class NamedItem(Item):
    """An event with an id, as a command records it."""

    def __init__(self, row: int, partition: int, name: str) -> None:
        super().__init__(partition, f"account/{name}", name)
        self.row = row
        self.event_id = f"id-{name}"


@pytest.fixture(params=OUTBOXES)
def open_outbox(request: pytest.FixtureRequest, tmp_path: Path) -> Open:
    """Open the outbox of this test, as often as the test wants."""
    kind = OUTBOXES[request.param]
    return lambda: kind(tmp_path / "outbox", IDENTITY)


def command(name: str, *events: NamedItem) -> Command:
    made = Command(name, CONTENT)
    made.events = events
    return made


def test_a_command_is_found_with_its_events_at_once_and_after_opening_again(
    open_outbox: Open,
) -> None:
    outbox = open_outbox()
    assert not outbox.holds_commands()
    items = [NamedItem(1, 0, "a"), NamedItem(2, 1, "b"), NamedItem(3, 0, "c")]
    outbox.append(items, [command("c-1", items[0]), command("c-2", *items[1:])])
    for _ in range(2):
        one, two = outbox.command("c-1"), outbox.command("c-2")

        assert one is not None
        assert two is not None
        assert (one.content, one.events) == (CONTENT, [KeptEvent(1, "id-a", 0, 1, "account/a")])
        assert two.events == [
            KeptEvent(2, "id-b", 1, 1, "account/b"),
            KeptEvent(3, "id-c", 0, 2, "account/c"),
        ]
        assert outbox.command("c-3") is None
        outbox.close()
        outbox = open_outbox()
        assert outbox.holds_commands()
    outbox.close()


def test_an_id_that_is_there_already_leaves_nothing_of_the_append(open_outbox: Open) -> None:
    outbox = open_outbox()
    first = NamedItem(1, 0, "a")
    outbox.append([first], [command("c-1", first)])
    second = NamedItem(2, 0, "b")

    with pytest.raises(Exception, match=r"(?i)unique|duplicate"):
        outbox.append([second], [command("c-1", second)])

    outbox.close()
    outbox = open_outbox()
    assert [row.stream for row in outbox.rows(0, 10)] == ["account/a"]
    outbox.close()
