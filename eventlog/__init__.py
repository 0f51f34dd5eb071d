"""The write side: what runs inside the trading app, and the relay beside it.

ferry = eventlog.attach("memferry.toml")
ferry.register("trade", trades)
ferry.record(TradeOpened(...)).durable(timeout=1)
"""

import runpy
from pathlib import Path

_SHADOWING = Path(__file__).parent.parent / "schemas" / "shadowing.py"
runpy.run_path(str(_SHADOWING))["require_ours"]("schemas")

from eventlog.adoption import adopt
from eventlog.receipts import AppliedEnded, OutcomeUnknown, Receipt, ReceiptTimeout
from eventlog.shim import Ferry, attach
from schemas.envelope import Context
from schemas.errors import FerryError

__all__ = [
    "AppliedEnded",
    "Context",
    "Ferry",
    "FerryError",
    "OutcomeUnknown",
    "Receipt",
    "ReceiptTimeout",
    "adopt",
    "attach",
]
