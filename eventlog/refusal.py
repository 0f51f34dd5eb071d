"""An event that the topic does not take: its limit was lowered after the event was acknowledged."""

from eventlog.outbox.contract import OutboxReader
from eventlog.record_batches import RecordBatch
from eventlog.topic import alter_remedy
from schemas.errors import FerryError
from schemas.lane import CONTROL_PARTITION
from schemas.position import control_topic, kafka_topic
from schemas.settings import Settings


class TopicRefusesEvent(FerryError):
    """The topic does not take an event that is durable: its limit was lowered."""


def refusal(settings: Settings, reader: OutboxReader, refused: RecordBatch) -> TopicRefusesEvent:
    """Return the error for a batch of one event, with the event's place and the way on."""
    topic, partition = kafka_topic(settings.topic, reader.identity.generation), refused.partition
    if partition == CONTROL_PARTITION:
        topic, partition = control_topic(settings.topic), 0
    return TopicRefusesEvent(
        f"the topic refuses an event of {refused.event_bytes} bytes as too large; it is durable "
        "in the outbox, and nothing behind it is sent",
        where=f"topic {topic}, partition {partition}, seq {refused.seq}, stream {refused.stream}, "
        f"outbox {reader.path}",
        remedy=f"{alter_remedy(topic, settings.kafka.max_event_bytes)}; then start the app again, "
        "or `memferry relay` where that relays",
    )
