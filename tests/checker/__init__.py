"""The independent checker: the app's journal, the log and the tables, read without our own code.

It says lost, doubled, reordered, altered, foreign or clean. Nothing here imports schemas, eventlog,
projector or compose: a fault in them must not be repeated by what looks for it.
"""

from tests.checker.check import check
from tests.checker.verdict import Counts, Finding, Verdict

__all__ = ["Counts", "Finding", "Verdict", "check"]
