"""What goes wrong with Kafka or PostgreSQL and passes: it is tried again."""

import psycopg
from aiokafka.errors import KafkaError

from projector.control_tables import DatabaseUnreachable
from projector.log import BrokerUnreachable

TRANSIENT = (
    psycopg.OperationalError, KafkaError, TimeoutError, OSError,
    DatabaseUnreachable, BrokerUnreachable,
)  # fmt: skip


def first_line(error: BaseException) -> str:
    """Return what an error says, in a line; a TimeoutError says nothing but its name."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]
