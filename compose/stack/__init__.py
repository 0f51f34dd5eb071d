"""The embedded stack: Apache Kafka and PostgreSQL from Python packages and locked jars alone."""

from compose.stack.ephemeral import ephemeral_stack
from compose.stack.errors import StackError
from compose.stack.part import PartStatus
from compose.stack.stack import Endpoints, Stack

__all__ = ["Endpoints", "PartStatus", "Stack", "StackError", "ephemeral_stack"]
