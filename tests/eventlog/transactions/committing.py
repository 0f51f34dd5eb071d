"""An app that commits orders with their events for ever, and says each that is committed."""

import sys
from itertools import count
from pathlib import Path

import msgspec

from schemas.settings import Settings
from tests.eventlog.app import deposited, opened
from tests.eventlog.transactions.desk import Desk


def main() -> None:
    desk = Desk(msgspec.json.decode(Path(sys.argv[1]).read_bytes(), type=Settings))
    for number in count():
        name = str(number)
        with desk.ferry.transaction(desk.conn) as changes:
            desk.order(desk.conn, name)
            changes.record(opened(name))
            changes.record(deposited(name, 1, 1))
        sys.stdout.write(f"{name}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
