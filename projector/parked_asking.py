"""An operator's side of a retry: ask the projectors, wait for what became of it.

A request is a row, announced by NOTIFY; it is taken back where nobody waits for its answer.
"""

import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import msgspec
import psycopg

from projector.control_tables import read_projection
from projector.parked import NothingParked, ParkedStream, parked_streams
from projector.sql import query
from projector.trail import actor, note
from schemas.errors import FerryError
from schemas.requests import RetryAnswer, RetryQuestion

_LOOK_S = 0.25
_PATIENCE_S = 2.0
_IN_TRAIL = 100
"""So many streams are named in the trail; the others are counted."""


class ProjectorMissing(FerryError):
    """No projector runs that could apply what is parked."""


class ProjectorSilent(FerryError):
    """No projector answered for a partition in time."""


def retry_parked(
    conn: psycopg.Connection[Any],
    projection: str,
    streams: Sequence[str] | None,
    timeout_s: float,
    told: Callable[[RetryAnswer], None] = lambda _: None,
) -> list[RetryAnswer]:
    """Have the projectors apply parked streams again, all where None; return what became of each.

    `told` hears of each stream as it is done. `timeout_s` is the longest that none may be.
    Raises: NothingParked, ProjectorMissing before anything is asked; ProjectorSilent.
    """
    wanted = _wanted(conn, projection, streams)
    if not wanted:
        return []
    _require_projector(conn, projection)
    with _asking(conn, projection, wanted) as requests:
        return _answers(conn, requests, timeout_s, told)


def _wanted(
    conn: psycopg.Connection[Any], projection: str, streams: Sequence[str] | None
) -> list[ParkedStream]:
    present = {parked.stream: parked for parked in parked_streams(conn, projection)}
    if streams is None:
        return list(present.values())
    for stream in streams:
        if stream not in present:
            raise NothingParked(
                f"no event of stream {stream!r} is parked",
                where=f"projection {projection}",
                remedy="`memferry parked list` shows the streams that wait",
            )
    return [present[stream] for stream in dict.fromkeys(streams)]


def _require_projector(conn: psycopg.Connection[Any], projection: str) -> None:
    found = read_projection(conn, projection)
    if found.state != "live":
        raise ProjectorMissing(
            f"projection {projection!r} is {found.state}: nobody applies to it",
            where="memferry.projection",
            remedy="`memferry resume` lets a held projection go on, `memferry replay --to-end` "
            "finishes a replay that was cut short; then retry again",
        )
    if not _projector_runs(conn, projection):
        raise ProjectorMissing(
            f"no projector applies to projection {projection!r}; it alone can apply what is parked",
            where=f"projection {projection}",
            remedy="start `memferry project`, with the handlers that are mended, and retry again",
        )


def _projector_runs(conn: psycopg.Connection[Any], projection: str) -> bool:
    """Say whether one does, or comes back from one session to the next within a moment."""
    deadline = time.monotonic() + _PATIENCE_S
    while True:
        row = conn.execute(query("projector_runs"), (projection,)).fetchone()
        if row and row[0]:
            return True
        if time.monotonic() > deadline:
            return False
        time.sleep(_LOOK_S)


@contextmanager
def _asking(
    conn: psycopg.Connection[Any], projection: str, wanted: Sequence[ParkedStream]
) -> Iterator[dict[str, ParkedStream]]:
    requests = {str(uuid.uuid4()): parked for parked in wanted}
    conn.execute("LISTEN memferry_answer")
    try:
        with conn.transaction():
            conn.execute(query("retries_clean"), (projection,))
            for request, parked in requests.items():
                question = RetryQuestion(parked.stream, parked.partition, actor())
                text = msgspec.json.encode(question).decode()
                values = {"id": request, "projection": projection, "question": text}
                conn.execute(query("retry_add"), values)
            note(
                conn,
                "retry of parked streams asked",
                {"streams": len(wanted), "events": sum(parked.events for parked in wanted)},
                {
                    "projection": projection,
                    "streams": [parked.stream for parked in wanted[:_IN_TRAIL]],
                },
            )
            conn.execute(query("request_notify"), (projection,))
        yield requests
    finally:
        if not conn.closed:
            conn.execute("UNLISTEN memferry_answer")
            conn.execute(query("request_drop"), (list(map(uuid.UUID, requests)),))


def _answers(
    conn: psycopg.Connection[Any],
    requests: dict[str, ParkedStream],
    timeout_s: float,
    told: Callable[[RetryAnswer], None],
) -> list[RetryAnswer]:
    answers: dict[str, RetryAnswer] = {}
    deadline = time.monotonic() + timeout_s
    while True:
        waiting = [uuid.UUID(request) for request in requests if request not in answers]
        for request, state, detail, answer in conn.execute(query("retry_answers"), (waiting,)):
            if state == "answered":
                answers[request] = msgspec.convert(answer, RetryAnswer)
                told(answers[request])
                deadline = time.monotonic() + timeout_s
            elif state == "failed":
                raise _silent(requests[request], detail)
        if len(answers) == len(requests):
            return list(answers.values())
        if time.monotonic() > deadline:
            left = next(requests[request] for request in requests if request not in answers)
            raise _silent(left, f"no answer in {timeout_s:g} s")
        for _ in conn.notifies(timeout=_LOOK_S, stop_after=1):
            pass


def _silent(parked: ParkedStream, detail: str) -> ProjectorSilent:
    return ProjectorSilent(
        f"no projector took up stream {parked.stream!r}: {detail}",
        where=f"partition {parked.partition}",
        remedy="`memferry status` says whether that partition stopped, and who has it; what was "
        "applied before is applied, and what is still parked stays: retry again",
    )
