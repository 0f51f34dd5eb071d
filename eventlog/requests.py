"""Answers to what a running app is asked: memory, outbox, catalog, a snapshot, a rollback …

These may take long, so they have a thread and a connection of their own.
"""

import datetime
import logging
import threading
import time
from collections.abc import Callable, Collection
from itertools import islice
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from eventlog.extraction.held import held_by_shim
from eventlog.extraction.selection import require_selectable
from eventlog.extraction.survey import ENTITIES_A_BREATH, survey
from eventlog.extraction.writing import chosen, entries_of
from eventlog.memory_answers import MemoryAnswers
from eventlog.outbox.audit import OwnOutbox
from eventlog.recorder import Recorder
from eventlog.rollback_preparing import prepare
from eventlog.snapshot import Snapshot
from schemas.errors import FerryError
from schemas.extraction import Selection
from schemas.requests import (
    BarrierAnswer,
    ExtractionAnswer,
    MemoryQuestion,
    MemoryRowsQuestion,
    OutboxQuestion,
    RequestKind,
    RollbackQuestion,
    SampleAnswer,
    StatisticsAnswer,
    SurveyProgress,
)
from schemas.settings import Settings
from schemas.sql import statement

if TYPE_CHECKING:
    from eventlog.listener import Connection

log = logging.getLogger("memferry.control")
_PROGRESS_S = 0.2
_DURABLE_S = 10.0
_ROWS = 2_000
Question = TypeVar("Question", bound=msgspec.Struct)


class RequestDesk:
    """A listener's duty: answers requests, the oldest first, one at a time."""

    name = "requests"
    channels = ("memferry_request",)

    def __init__(
        self,
        ferry: Recorder,
        settings: Settings,
        snapshot: Snapshot,
        sample: Callable[[], SampleAnswer],
        ending: threading.Event,
    ) -> None:
        self._ferry = ferry
        self._settings = settings
        self._projection = settings.projection or ferry.domain.name
        self._snapshot = snapshot
        self._sample = sample
        self._ending = ending
        self._memory = MemoryAnswers(ferry)
        self._outbox = OwnOutbox(settings, ferry.written)
        self._answers: dict[RequestKind, Callable[[Connection, Any], None]] = {
            "memory": self._tell_memory,
            "memory_rows": self._tell_memory_rows,
            "outbox": self._tell_outbox,
            "catalog": self._tell_catalog,
            "statistics": self._tell_statistics,
            "extraction": self._tell_extraction,
            "snapshot": self._tell_snapshot,
            "barrier": self._tell_barrier,
            "sample": self._tell_sample,
            "rollback": self._tell_rollback,
        }

    def begin(self, conn: "Connection") -> None:
        """Answer what was asked before there was a connection."""
        self.hear(conn, self.channels)

    def hear(self, conn: "Connection", channels: Collection[str]) -> None:
        """Answer everything that waits for an answer of this source."""
        asked = conn.execute(
            statement("requests_of_source"), (self._projection, self._ferry.source)
        ).fetchall()
        for request, kind in asked:
            try:
                answer = self._answers.get(kind)
                if answer is None:
                    raise FerryError(f"this app's memferry knows no request {kind!r}")
                answer(conn, request)
            except Exception as error:  # the domain's own code is part of many an answer
                if conn.closed:
                    raise
                conn.execute(statement("request_failed"), {"id": request, "detail": _reason(error)})

    def tick(self, conn: "Connection") -> None:
        """Let go of what was kept for requests that are over."""
        self._memory.tick(conn)
        with self._ferry.memory_lock:
            self._ferry.rollbacks.expire()

    def _answer(
        self, conn: "Connection", request: Any, answer: msgspec.Struct | None, state: str
    ) -> None:
        # jsonb takes no NUL, which may be in a text that is warned of.
        text = msgspec.json.encode(answer).decode().replace("\\u0000", "\\ufffd")
        values = {"id": request, "answer": text, "state": state}
        conn.execute(statement("request_answered"), values)

    def _tell_catalog(self, conn: "Connection", request: Any) -> None:
        self._answer(conn, request, self._ferry.describe(), "answered")

    def _tell_statistics(self, conn: "Connection", request: Any) -> None:
        def told(looked: int) -> None:
            self._answer(conn, request, SurveyProgress(looked), "working")

        now = datetime.datetime.now(datetime.UTC)
        held, selection = held_by_shim(self._ferry), self._selection(conn, request)
        found = survey(held, selection, now, self._counting(told))
        self._answer(conn, request, StatisticsAnswer(self._ferry.source, found), "answered")

    def _tell_extraction(self, conn: "Connection", request: Any) -> None:
        """Answer with rows, thousands at once, in place of those that a cut answer left."""
        selection = self._selection(conn, request)
        with self._ferry.memory_lock:
            held, position = held_by_shim(self._ferry), self._ferry.recorded_position()
        require_selectable(selection, [one.kind for one in held])
        counts = {one.kind.name: 0 for one in chosen(held, selection)}
        conn.execute(statement("memory_line_drop"), (request,))
        entries = enumerate(entries_of(held, selection, self._counting(lambda _: None)))
        while rows := list(islice(entries, _ROWS)):
            with conn.transaction():
                with conn.cursor() as cursor, cursor.copy(statement("memory_line_copy")) as copy:
                    for number, entry in rows:
                        copy.write_row((request, number, *entry))
                        counts[entry.kind] += 1
                self._answer(conn, request, SurveyProgress(rows[-1][0] + 1), "working")
        answer = ExtractionAnswer(self._ferry.source, position, counts)
        self._answer(conn, request, answer, "answered")

    def _selection(self, conn: "Connection", request: Any) -> Selection:
        return self._question(conn, request, Selection)

    def _question(self, conn: "Connection", request: Any, form: type[Question]) -> Question:
        (question,) = conn.execute(statement("request_question"), (request,)).fetchone() or (None,)
        return msgspec.convert(question or {}, form, str_keys=True)

    def _counting(self, told: Callable[[int], None]) -> Callable[[], None]:
        """Return what is called every few entities: it tells now and then, and ends in time."""
        looked, due = 0, 0.0

        def breathe() -> None:
            nonlocal looked, due
            looked += ENTITIES_A_BREATH
            if self._ending.is_set():
                raise FerryError("the app ends")
            if time.monotonic() >= due:
                told(looked)
                due = time.monotonic() + _PROGRESS_S

        return breathe

    def _tell_sample(self, conn: "Connection", request: Any) -> None:
        self._answer(conn, request, self._sample(), "answered")

    def _tell_snapshot(self, conn: "Connection", request: Any) -> None:
        self._snapshot.complete()
        while not self._snapshot.done.wait(_PROGRESS_S):
            if self._ending.is_set():
                return
            self._answer(conn, request, self._snapshot.progress(), "working")
        self._answer(conn, request, self._snapshot.progress(), "answered")

    def _tell_barrier(self, conn: "Connection", request: Any) -> None:
        barrier = self._ferry.place_barrier(str(request), "sync", with_memory=False)
        barrier.receipts[-1].durable(_DURABLE_S)  # all are one transaction of the outbox
        heads = {receipt.partition: receipt.seq for receipt in barrier.receipts}
        answer = BarrierAnswer(heads, barrier.counting, barrier.sums)
        self._answer(conn, request, answer, "answered")

    def _tell_rollback(self, conn: "Connection", request: Any) -> None:
        question = self._question(conn, request, RollbackQuestion)
        breathe = self._counting(
            lambda looked: self._answer(conn, request, SurveyProgress(looked), "working")
        )
        ready = prepare(self._ferry, self._settings, question, breathe)
        self._answer(conn, request, ready, "answered")

    def _tell_memory(self, conn: "Connection", request: Any) -> None:
        question = self._question(conn, request, MemoryQuestion)
        breathe = self._counting(
            lambda looked: self._answer(conn, request, SurveyProgress(looked), "working")
        )
        answer, rows = self._memory.sums(request, question, breathe)
        with conn.transaction():
            with conn.cursor() as cursor, cursor.copy(statement("memory_sum_copy")) as copy:
                for row in rows:
                    copy.write_row((request, *row))
            self._answer(conn, request, answer, "answered")

    def _tell_memory_rows(self, conn: "Connection", request: Any) -> None:
        question = self._question(conn, request, MemoryRowsQuestion)
        with conn.transaction():
            self._memory.rows(conn, request, question, self._counting(lambda _: None))
            self._answer(conn, request, None, "answered")

    def _tell_outbox(self, conn: "Connection", request: Any) -> None:
        question = self._question(conn, request, OutboxQuestion)
        answer = self._outbox.check(whole=question.whole)
        self._answer(conn, request, answer, "answered")


def _reason(error: Exception) -> str:
    if isinstance(error, FerryError):
        return error.what
    if type(error).__name__ == "ForeignKeyViolation":  # psycopg is an extra
        return "who asked took the request back"
    log.error("a request could not be answered", exc_info=error)
    return repr(error)
