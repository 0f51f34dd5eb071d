"""Commands that go back in an app's log, at places drawn at random."""

import random
from typing import Any

import psycopg
from psycopg import sql

from projector.checkpoint import offsets_of
from projector.voids import list_voids
from schemas.position import format_offsets
from schemas.settings import Settings

_NEAR = 600
"""Records of a partition that a void goes back at most."""
_STREAMS = 3
_WHY = ("--reason", "a campaign")


class WaysBack:
    """Arguments of `memferry` for one projection; `conn` is the caller's."""

    def __init__(
        self, conn: psycopg.Connection[Any], settings: Settings, draw: random.Random
    ) -> None:
        self._conn, self._draw = conn, draw
        self._name, self._topic = settings.projection, settings.topic

    def look_back(self, *options: str) -> list[str]:
        """To anywhere between the log's beginning and where the tables are."""
        share, here = self._draw.random(), offsets_of(self._conn, self._name)
        position = format_offsets({p: int(offset * share) for p, offset in here.items()})
        return ["rollback", "--yes", "--to-offset", position, *options]

    def final(self) -> list[str]:
        """To a little before where the tables are, for good."""
        return ["rollback", "--yes", "--to-offset", self._near(), "--void-tail", *_WHY]

    def void_streams(self) -> list[str]:
        """The newest events of a few trades of late."""
        trades = sql.Identifier(self._name, "trades")
        newest = sql.SQL("SELECT trade_id FROM {} ORDER BY trade_id DESC LIMIT 400").format(trades)
        rows = self._conn.execute(newest).fetchall()
        chosen = [f"trade/{self._draw.choice(rows)[0]}" for _ in range(_STREAMS)]
        streams = [word for stream in chosen for word in ("--stream", stream)]
        return ["void", "--yes", "--to-offset", self._near(), *streams, *_WHY]

    def unvoid(self) -> list[str]:
        """Of the newest void that is in force, or of none."""
        known = list_voids(self._conn, self._topic)
        left = [one.void.id for one in known if one.restored_at is None]
        return ["unvoid", left[-1] if left else "none", *_WHY]

    def _near(self) -> str:
        here = offsets_of(self._conn, self._name)
        return format_offsets(
            {p: max(0, offset - self._draw.randrange(_NEAR)) for p, offset in here.items()}
        )
