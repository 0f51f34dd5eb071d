"""What must hold of strategies; which step may follow which, their `evolve` says."""

from schemas.rules import Ascending, InOrder, Rule, Timed

RULES: tuple[Rule, ...] = (
    Ascending("strategy", ("registered_at_ns", "updated_at_ns")),
    InOrder("strategy", "updated_at_ns"),
    Timed("strategy", "updated_at"),
)
