"""The parts put together: the `memferry` command, the embedded stack, the sample trading app."""

import runpy
from pathlib import Path

_SHADOWING = Path(__file__).parent.parent / "schemas" / "shadowing.py"
runpy.run_path(str(_SHADOWING))["require_ours"]("schemas", "eventlog", "projector")
