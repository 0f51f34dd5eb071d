"""An app that kills itself while it commits a rollback: `python -m tests.eventlog.rolling_child
POINT FOLDER`, the point as in killed_child."""

import sys
from pathlib import Path
from typing import Any

from tests.eventlog.app import App, deposited, opened, taken
from tests.eventlog.killed_child import Armed, KillingDisk, die
from tests.eventlog.rolling import go_back, here


class Accounts(dict[Any, Any]):
    """A container of which nothing can be taken."""

    def pop(self, *_: Any) -> Any:
        die()


def main(point: str, folder: str) -> None:
    disk = KillingDisk()
    app = App(Path(folder) / "outbox.db", accounts=Accounts() if point == "within memory" else None)
    app.ferry.record_all([opened("a"), taken("m", 1)])
    lanes = here(app.ferry)
    app.ferry.record_all([deposited("a", 5, 5), opened("b"), taken("m", 2)])
    here(app.ferry)
    Armed.point = point
    go_back(app.ferry, lanes)
    disk.unregister()


if __name__ == "__main__":
    main(*sys.argv[1:])
