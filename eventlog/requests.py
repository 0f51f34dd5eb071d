"""Answers to what a running app is asked: its memory, catalog and statistics, snapshot, a sample.

These may take long, so they have a thread and a connection of their own.
"""

import datetime
import logging
import threading
import time
from collections.abc import Callable, Collection
from itertools import islice
from typing import TYPE_CHECKING, Any

import msgspec

from eventlog.extraction.held import held_by_shim
from eventlog.extraction.selection import require_selectable
from eventlog.extraction.survey import ENTITIES_A_BREATH, survey
from eventlog.extraction.writing import chosen, entries_of
from eventlog.recorder import Recorder
from eventlog.snapshot import Snapshot
from schemas.digest import row_digest
from schemas.errors import FerryError
from schemas.extraction import Selection
from schemas.lane import partition_of
from schemas.requests import (
    BarrierAnswer,
    ExtractionAnswer,
    RequestKind,
    SampleAnswer,
    StatisticsAnswer,
    SurveyProgress,
)
from schemas.settings import Settings
from schemas.sql import statement
from schemas.tables import key_text

if TYPE_CHECKING:
    from eventlog.listener import Connection

log = logging.getLogger("memferry.control")
_PROGRESS_S = 0.2
_DURABLE_S = 10.0
_ROWS = 2_000
_ENTITIES_A_BREATH = 256


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
        self._projection = settings.projection or ferry.domain.name
        self._snapshot = snapshot
        self._sample = sample
        self._ending = ending
        self._answers: dict[RequestKind, Callable[[Connection, Any], None]] = {
            "memory": self._tell_memory,
            "catalog": self._tell_catalog,
            "statistics": self._tell_statistics,
            "extraction": self._tell_extraction,
            "snapshot": self._tell_snapshot,
            "barrier": self._tell_barrier,
            "sample": self._tell_sample,
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
        """Nothing is due without a request."""

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
        (question,) = conn.execute(statement("request_question"), (request,)).fetchone() or (None,)
        return msgspec.convert(question or {}, Selection)

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
        self._snapshot.start()
        while not self._snapshot.done.wait(_PROGRESS_S):
            if self._ending.is_set():
                return
            self._answer(conn, request, self._snapshot.progress(), "working")
        self._answer(conn, request, self._snapshot.progress(), "answered")

    def _tell_barrier(self, conn: "Connection", request: Any) -> None:
        receipts = self._ferry.place_barrier(str(request), "sync", with_memory=False).receipts
        receipts[-1].durable(_DURABLE_S)  # all are one transaction of the outbox
        heads = {receipt.partition: receipt.seq for receipt in receipts}
        self._answer(conn, request, BarrierAnswer(heads), "answered")

    def _tell_memory(self, conn: "Connection", request: Any) -> None:
        barrier = self._ferry.place_barrier(str(request), "audit")
        partitions = self._ferry.identity.partitions
        with conn.transaction():
            with conn.cursor() as cursor, cursor.copy(statement("memory_row_copy")) as copy:
                for kind, entities in barrier.memory:
                    stream_of = kind.stream_getter()
                    for number, entity in enumerate(entities()):
                        if number % _ENTITIES_A_BREATH == 0:
                            time.sleep(0)  # the app's own threads want the interpreter's lock, too
                        partition = partition_of(stream_of(entity), partitions)
                        for table, row in kind.rows(entity):
                            digest = row_digest(table.name, row).to_bytes(16, "big")
                            key = key_text(table.key_of(row))
                            copy.write_row((request, partition, table.name, key, digest))
            self._answer(conn, request, None, "answered")


def _reason(error: Exception) -> str:
    if isinstance(error, FerryError):
        return error.what
    log.error("a request could not be answered", exc_info=error)
    return repr(error)
