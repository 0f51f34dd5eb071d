"""`memferry relay`: an outbox into Kafka, as a process beside the app."""

import asyncio

from compose.cli.context import Common
from compose.cli.output import err
from eventlog.outbox.opening import place_of
from eventlog.relay_service import run_relay


def relay(*, common: Common = Common()) -> int:  # noqa: B008  (cyclopts reads the default)
    """Carry the outbox of `source` into Kafka until stopped.

    For an app with `relay.mode = "process"`. It only reads the outbox; kill it at any moment, the
    next one goes on where the topic ends.
    """
    settings = common.settings()
    err.print(f"relaying {place_of(settings)} to {settings.kafka.bootstrap}; stop with Ctrl-C")
    asyncio.run(run_relay(settings))
    return 0
