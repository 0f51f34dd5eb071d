"""What the app can be told at its start."""

from dataclasses import dataclass
from typing import Annotated

from cyclopts import Parameter
from cyclopts.types import ExistingFile, ResolvedPath
from cyclopts.validators import Number

_NotNegative = Number(gte=0)


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class Options:
    """How to trade, and what to attach."""

    speed: Annotated[float, Parameter(validator=_NotNegative)] = 0.0
    """Bars a second; 0 for as fast as it can."""

    seed: Annotated[int, Parameter(validator=_NotNegative)] = 1
    """Two runs with the same seed and the same flags trade the same."""

    multiplicity: Annotated[int, Parameter(validator=Number(gte=1))] = 1
    """How many of each symbol to trade: IBM, IBM.2, … each in an account of its own."""

    history: Annotated[int, Parameter(validator=_NotNegative)] = 2000
    """Bars traded before the shim is attached. A restart needs the same number."""

    laps: Annotated[int, Parameter(validator=_NotNegative)] = 1
    """How many times through the data, history included, each time on later dates; 0 until told
    to stop, or until the year 2262, where nanoseconds outgrow a bigint."""

    config: ExistingFile | None = None
    """memferry's TOML file. Without it the app trades in memory alone."""

    journal: ResolvedPath | None = None
    """File to which every acknowledged mutation is appended; needs --config."""

    http: Annotated[int | None, Parameter(validator=Number(gte=0, lte=65535))] = None
    """Serve the app's state on this port of 127.0.0.1, 0 for a free one, until told to stop."""

    ready_file: ResolvedPath | None = None
    """JSON file with `pid` and `port`, written when the app is attached and serving."""
