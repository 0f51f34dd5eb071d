"""`memferry adopt`: the outbox of an instance that died, brought to Kafka."""

from typing import Annotated

from cyclopts import Parameter

from compose.cli.context import Common
from compose.cli.output import err, out, print_json
from eventlog.adoption import adopt as adopt_outbox
from eventlog.outbox.opening import place_of


def adopt(
    *,
    retire: Annotated[bool, Parameter(negative=())] = False,
    stopped: Annotated[bool, Parameter(negative=())] = False,
    common: Common = Common(),  # noqa: B008
) -> int:
    """Take over the outbox of a dead instance and hand everything in it to Kafka.

    A new instance with the same `source` and `outbox.path` may start afterwards and goes on where
    the dead one ended.

    Parameters
    ----------
    retire
        Close the source for good: no new instance goes on under it.
    stopped
        Take the outbox also from a process that still holds it and does not run. Should it wake, it
        acknowledges nothing more.
    """
    settings = common.settings()
    err.print(f"adopting {place_of(settings)}", soft_wrap=True)
    done = adopt_outbox(settings, retire=retire, stopped=stopped)
    if common.json:
        print_json(done._asdict())
    else:
        out.print(
            f"source [bold]{done.source}[/]: {done.events:,} events in Kafka, {done.relayed:,} of "
            f"them sent now; writer {done.writer}" + (", retired" if done.retired else "")
        )
    return 0
