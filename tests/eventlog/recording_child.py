"""A process that records accounts until something stops it, on a disk that allows so many bytes.

It says of each account that it is durable, and of its end why.
"""

import resource
import sys
from pathlib import Path

from eventlog.receipts import OutcomeUnknown
from schemas.settings import Outbox
from tests.eventlog.app import DEADLINE_S, App, opened


def main(path: Path, file_bytes: int) -> None:
    """Record until the file may not grow any more."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (file_bytes, file_bytes))
    app = App(path, options=Outbox(disk_reserve_bytes=0))
    number = 0
    while True:
        try:
            app.ferry.record(opened(str(number))).durable(DEADLINE_S)
        except OutcomeUnknown as error:
            sys.stdout.write(f"halted {error.what}\n")
            return
        sys.stdout.write(f"durable {number}\n")
        sys.stdout.flush()
        number += 1


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
