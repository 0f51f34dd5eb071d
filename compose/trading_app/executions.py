"""The log of strategy executions: which strategy looked at which bar, and what came of it."""

from schemas.trading.executions import Execution

_PREFIX = "E-"


class ExecutionLog:
    """Executions by id."""

    def __init__(self) -> None:
        self.executions: dict[str, Execution] = {}
        self._last_number = 0

    def next_id(self) -> str:
        """Return an id that no execution has had."""
        self._last_number += 1
        return f"{_PREFIX}{self._last_number}"

    def unfinished(self) -> list[Execution]:
        """Return the executions that have neither completed nor failed."""
        return [e for e in self.executions.values() if e.status in {"started", "signalled"}]

    def rebuild(self) -> None:
        """Derive the last number from the executions."""
        numbers = (int(execution_id.removeprefix(_PREFIX)) for execution_id in self.executions)
        self._last_number = max(numbers, default=0)
