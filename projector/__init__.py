"""The read side: the log into PostgreSQL, replay, audit."""

import runpy
from pathlib import Path

_SHADOWING = Path(__file__).parent.parent / "schemas" / "shadowing.py"
runpy.run_path(str(_SHADOWING))["require_ours"]("schemas")
