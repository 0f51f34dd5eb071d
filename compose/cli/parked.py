"""`memferry parked`: events that the tables could not take, and the streams that wait for them."""

import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import msgspec
import psycopg
from cyclopts import App
from rich.text import Text

from compose.cli.context import Common
from compose.cli.output import err, out, print_json
from projector.control_tables import connect, read_projection
from projector.parked import ParkedRow, ParkedStream, parked_events, parked_streams
from projector.parked_asking import retry_parked
from schemas.errors import FerryError
from schemas.requests import RetryAnswer
from schemas.settings import Settings

app = App(name="parked", help="Show and retry events that the tables could not take.")
_SHOWN = 10


class StreamsUnclear(FerryError):
    """Neither streams nor `--all` were named, or both."""


@app.command(name="list")
def list_(*, common: Common = Common()) -> int:  # noqa: B008
    """Show the streams that wait, the longest first; exit with 1 where there are any."""
    with _connected(common) as (conn, projection):
        streams = parked_streams(conn, projection)
    if common.json:
        print_json(streams)
    elif not streams:
        out.print("nothing is parked")
    else:
        for parked in streams:
            _show_stream(parked)
        out.print("next: `memferry parked show STREAM`, mend it, `memferry parked retry STREAM`")
    return 1 if streams else 0


@app.command
def show(named: str, *, limit: int = _SHOWN, common: Common = Common()) -> int:  # noqa: B008
    """Show parked events: what is wrong, where, and the event itself.

    Parameters
    ----------
    named
        A stream, or the place of one event in the topic: PARTITION:OFFSET or OFFSET.
    limit
        The most events that are shown, the first of the stream first.
    """
    with _connected(common) as (conn, projection):
        events = parked_events(conn, projection, named, limit)
    if common.json:
        print_json(events)
    else:
        for event in events:
            _show_event(event)
    return 0


@app.command
def retry(
    *streams: str,
    all_: bool = False,
    timeout_s: float = 30.0,
    common: Common = Common(),  # noqa: B008
) -> int:
    """Apply parked streams again, with the running projector's handlers; exit with 1 if some stay.

    Each stream goes on from its first parked event, in the order of the log, up to the first that
    is refused again.

    Parameters
    ----------
    streams
        As `memferry parked list` names them.
    all_
        Every stream that is parked.
    timeout_s
        How long to wait for a projector to be done with the next stream.
    """
    if bool(streams) == all_:
        raise StreamsUnclear(
            "name the streams to retry, or --all of them",
            where="memferry parked retry",
            remedy="`memferry parked list` shows the streams that wait",
        )
    told = (lambda _: None) if common.json else _show_answer
    with _connected(common) as (conn, projection):
        answers = retry_parked(conn, projection, None if all_ else streams, timeout_s, told)
    if common.json:
        print_json(answers)
    elif not answers:
        out.print("nothing is parked")
    left = [answer for answer in answers if answer.left]
    if left and not common.json:
        err.print(f"{len(left):,} of {len(answers):,} streams still wait")
    return 1 if left else 0


def warn_of_parked(settings: Settings, projection: str) -> int:
    """Say on standard error how many streams wait in a projection that was worked on; return it."""
    with connect(settings, "parked") as conn:
        streams = parked_streams(conn, projection)
    if streams:
        events = sum(parked.events for parked in streams)
        err.print(
            f"{events:,} events of {len(streams):,} streams are parked: the tables lack them; see "
            "`memferry parked list`",
            soft_wrap=True,
        )
    return len(streams)


@contextmanager
def _connected(common: Common) -> Iterator[tuple[psycopg.Connection[Any], str]]:
    settings, domain = common.load_hand_written()
    projection = settings.projection or domain.name
    conn = connect(settings, "parked")
    try:
        read_projection(conn, projection)
        yield conn, projection
    finally:
        conn.close()


def _show_stream(parked: ParkedStream) -> None:
    events = f"{parked.events:,} event{'' if parked.events == 1 else 's'}"
    head = Text.assemble(
        (parked.stream, "bold"), f"  {events} since {parked.since:%Y-%m-%d %H:%M:%S}"
    )
    out.print(head, soft_wrap=True)  # unwrapped, so that the stream can be copied whole
    _indented(parked.reason, style="red")
    _indented(f"{parked.type}, partition {parked.partition}, offset {parked.record_offset}")


def _show_event(event: ParkedRow) -> None:
    head = Text.assemble((event.stream, "bold"), f"  {event.type}, seq {event.seq}")
    out.print(head, soft_wrap=True)
    _indented(event.reason, style="" if event.behind else "red")
    _indented(f"{event.place}; parked at {event.parked_at:%Y-%m-%d %H:%M:%S}")
    text = msgspec.json.format(bytes(event.event), indent=2).decode()
    out.print(Text(text), soft_wrap=True)


def _show_answer(answer: RetryAnswer) -> None:
    out.print(
        Text.assemble(
            (answer.stream, "bold"), f"  {answer.applied:,} applied, {answer.left:,} stay"
        ),
        soft_wrap=True,
    )
    if answer.left:
        _indented(answer.reason, style="red")


def _indented(text: str, style: str = "") -> None:
    # Words are left whole: a place or a name can be copied.
    lines = textwrap.fill(
        text, out.width, initial_indent="  ", subsequent_indent="  ", break_long_words=False,
        break_on_hyphens=False,
    )  # fmt: skip
    out.print(Text(lines, style), soft_wrap=True)
