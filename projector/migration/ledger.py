"""A run's changes of a migration's rows, each with its entry in the audit trail.

One run at a time: an advisory lock that dies with it, and a term that rises when another run takes
the migration over, so that the earlier one can change nothing more.
"""

import os
import socket
import uuid
from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

import psycopg

from projector.migration.record import Mode, newest
from projector.sql import query
from projector.trail import note
from schemas.errors import FerryError


class MigrationTakenOver(FerryError):
    """Another run took this migration over: this one must change nothing more."""


class Turn(NamedTuple):
    """One run's right to change a migration."""

    id: str
    mode: Mode
    term: int
    phase: str
    """The first phase to enter."""


class Ledger:
    """Changes a migration's rows, each with its entry in the audit trail."""

    def __init__(self, conn: psycopg.Connection[Any], projection: str) -> None:
        self._conn = conn
        self._name = projection
        self.turn: Turn | None = None

    @property
    def _now(self) -> Turn:
        if self.turn is None:
            raise RuntimeError("no migration was begun")
        return self.turn

    def begin(self, mode: Mode, first_phase: str) -> Turn:
        """Take the running migration over, or begin a new one; the caller has the lock."""
        found = newest(self._conn, self._name)
        holder = f"{socket.gethostname()} process {os.getpid()}"
        with self._conn.transaction():
            if found is not None and found.state == "running":
                row = self._conn.execute(
                    query("migration_take_over"), {"id": found.id, "holder": holder}
                ).fetchone()
                term = row[0] if row else found.term
                self.turn = Turn(found.id, found.mode, term, found.phase)
                self.leave("interrupted", f"{found.holder} ended in it")
                after = {"id": found.id, "phase": found.phase, "holder": holder}
                note(self._conn, "migration taken over", {"holder": found.holder}, after)
            else:
                self.turn = Turn(str(uuid.uuid4()), mode, 1, first_phase)
                values = {"id": self.turn.id, "projection": self._name, "mode": mode}
                self._conn.execute(
                    query("migration_begin"), values | {"phase": first_phase, "holder": holder}
                )
                note(self._conn, "migration begun", {}, values | {"holder": holder})
        return self.turn

    def enter(self, phase: str) -> None:
        """Enter a phase; raises MigrationTakenOver."""
        with self._conn.transaction():
            self._change("migration_enter", {"phase": phase})
            note(self._conn, "phase entered", {}, {"id": self._now.id, "phase": phase})

    def leave(self, outcome: str, detail: str) -> None:
        """Leave the phase that was entered last, where it was not left yet."""
        values = {"outcome": outcome, "detail": detail}
        with self._conn.transaction():
            now = {"id": self._now.id, "term": self._now.term}
            left = self._conn.execute(query("migration_leave"), now | values).fetchone()
            if left is not None:
                note(self._conn, "phase left", {}, {"id": self._now.id, **values})

    def end(self, state: Literal["finished", "undone"], reason: str) -> None:
        """End the migration; raises MigrationTakenOver."""
        with self._conn.transaction():
            self._change("migration_end", {"state": state, "reason": reason})
            note(self._conn, f"migration {state}", {}, {"id": self._now.id, "reason": reason})

    def _change(self, name: str, values: Mapping[str, Any]) -> None:
        now = {"id": self._now.id, "term": self._now.term}
        if self._conn.execute(query(name), now | dict(values)).fetchone() is None:
            raise MigrationTakenOver(
                "another run took this migration over",
                where=f"migration {self._now.id}",
                remedy="nothing is lost: the other run goes on with it; see `memferry status`",
            )
