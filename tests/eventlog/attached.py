"""An app with the shim attached to the run's Kafka and PostgreSQL."""

import eventlog
from eventlog.shim import Ferry
from schemas.settings import Settings
from tests.domains.ledger import Account
from tests.eventlog.app import new_rings


class Attached:
    """An app with the shim, and what it holds."""

    def __init__(self, settings: Settings) -> None:
        self.accounts: dict[str, Account] = {}
        self.rings = new_rings()
        self.ferry: Ferry = eventlog.attach(settings)
        self.ferry.register("account", self.accounts)
        self.ferry.register("reading", self.rings)
