"""An import that is killed once its outbox holds some events: its own domain sees to it."""

import os
import signal
import sys
from pathlib import Path
from typing import Any

import msgspec

from eventlog.extraction.importing import import_file
from eventlog.outbox.sqlite_reader import SqliteOutboxReader
from schemas.domain import Domain, Kind
from schemas.settings import Settings
from tests.domains.ledger import ACCOUNT, DOMAIN, READING

_RECORDED = 40


def killing(settings: Settings, kind: Kind) -> Kind:
    """Return a kind whose `evolve` ends the process once 40 events are durable."""

    def evolve(present: Any, event: Any) -> Any:
        if settings.outbox_path.exists():
            reader = SqliteOutboxReader(settings.outbox_path)
            if reader.last_row() >= _RECORDED:
                os.kill(os.getpid(), signal.SIGKILL)
            reader.close()
        return kind.evolve(present, event)

    return Kind(
        name=kind.name, entity=kind.entity, events=kind.events, key=kind.key, stream=kind.stream,
        evolve=evolve, project=kind.project, rows=kind.rows, snapshot=kind.snapshot,
        tables=kind.tables,
    )  # fmt: skip


if __name__ == "__main__":
    given = msgspec.json.decode(sys.argv[1], type=Settings)
    kinds = tuple(killing(given, kind) for kind in (ACCOUNT, READING))
    import_file(given, Domain(DOMAIN.name, kinds, DOMAIN.ddl), Path(sys.argv[2]))
