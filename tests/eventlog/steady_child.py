"""A process that records accounts one after another, and says of each that it is durable."""

import sys
from pathlib import Path

from eventlog.receipts import OutcomeUnknown
from schemas.errors import FerryError
from tests.eventlog.app import DEADLINE_S, App, opened


def main(path: Path, limit: int) -> None:
    """Record up to `limit` accounts, then wait to be told to record one more."""
    app = App(path)
    number = 0
    try:
        while True:
            if number >= limit:
                sys.stdout.write("waits\n")
                sys.stdout.flush()
                sys.stdin.readline()
            app.ferry.record(opened(f"child-{number}")).durable(DEADLINE_S)
            sys.stdout.write(f"durable child-{number}\n")
            sys.stdout.flush()
            number += 1
    except OutcomeUnknown as error:
        sys.stdout.write(f"halted {error.what}\n")
    except FerryError as error:
        sys.stdout.write(f"refused {error.what}\n")
    app.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
