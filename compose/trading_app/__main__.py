"""Command line of the sample app."""

import asyncio
import sys
from typing import Annotated

from cyclopts import App, Parameter

from compose.trading_app.controls import Controls
from compose.trading_app.options import Options
from compose.trading_app.service import serve
from schemas.errors import FerryError

cli = App(
    name="python -m compose.trading_app",
    help="Paper-trade 12,154 real daily bars in memory, with memferry attached where --config "
    "names its settings.",
    version_flags=(),
)


@cli.default
def run(*, options: Annotated[Options, Parameter(name="*")] = Options()) -> int:  # noqa: B008
    """Trade until the tape ends, or until SIGTERM, SIGINT or POST /stop."""
    controls = Controls()
    state = None
    try:
        state = asyncio.run(serve(options, controls))
    except* (FerryError, OSError) as failures:
        for failure in failures.exceptions:
            print(failure, file=sys.stderr)
    if state is None:
        return 2
    print(f"{state.bars} bars, {state.events} events, equity {state.equity}")
    return 130 if controls.interrupted else 0


if __name__ == "__main__":
    sys.exit(cli())
