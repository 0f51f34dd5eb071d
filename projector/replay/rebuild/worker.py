"""A process that works on a share of a rebuild, for another one that it does not outlive.

Its standard input gives it the share, and stays open for as long as its parent lives; its standard
output says how far it is, a line each time, and in the end what became of it.
"""

import asyncio
import os
import sys
import threading
from typing import Any

import msgspec

from projector.progress import Progress
from projector.replay.rebuild.share import Share, work
from projector.replay.rebuild.telling import line_of, told_of
from schemas.domain import load_domain


def main() -> int:
    """Do the share that standard input names."""
    share = msgspec.json.decode(sys.stdin.buffer.readline(), type=Share)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    progress = Progress()

    def say(**more: Any) -> None:
        sys.stdout.buffer.write(line_of(progress, **more))
        sys.stdout.buffer.flush()

    try:
        again = asyncio.run(work(share, load_domain(share.settings.domain), progress, say))
    except Exception as error:
        say(over=True, failed=told_of(error))
        return 1
    say(over=True, again=again)
    return 0


def _end_with_parent() -> None:
    """End at once when the parent is no more: what is not committed by then is nobody's."""
    while os.read(0, 1024):  # not by way of sys.stdin: a thread that is in it cannot be left behind
        pass
    os._exit(1)


if __name__ == "__main__":
    sys.exit(main())
