"""A relay as a process of its own, which says each row that Kafka has acknowledged."""

import asyncio
import sys

from eventlog.marks import MarkFile
from eventlog.relay import Relay
from schemas.settings_file import load_settings


def main() -> None:
    settings = load_settings(sys.argv[1])
    marks = MarkFile(settings.outbox_path)

    def on_mark(row: int) -> None:
        marks.write(row)
        sys.stdout.write(f"{row}\n")
        sys.stdout.flush()

    asyncio.run(Relay(settings, on_mark).run())


if __name__ == "__main__":
    main()
