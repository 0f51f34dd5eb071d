"""The write side: what runs inside the trading app, and the relay beside it.

ferry = eventlog.attach("memferry.toml")
ferry.register("trade", trades)
ferry.record(TradeOpened(...)).durable(timeout=1)
"""

from eventlog.receipts import OutcomeUnknown, Receipt, ReceiptTimeout
from eventlog.shim import Ferry, attach
from schemas.envelope import Context
from schemas.errors import FerryError

__all__ = [
    "Context",
    "Ferry",
    "FerryError",
    "OutcomeUnknown",
    "Receipt",
    "ReceiptTimeout",
    "attach",
]
