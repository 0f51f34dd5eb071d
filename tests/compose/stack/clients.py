"""What an app does with the two servers, in as few words as possible."""

import asyncio

import psycopg
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic


def write_row(url: str, value: str) -> None:
    with psycopg.connect(url) as connection:
        connection.execute("CREATE TABLE IF NOT EXISTS kept (value text)")
        connection.execute("INSERT INTO kept VALUES (%s)", [value])


def rows(url: str) -> list[str]:
    with psycopg.connect(url) as connection:
        return [value for (value,) in connection.execute("SELECT value FROM kept")]


def send(bootstrap: str, topic: str, value: bytes) -> None:
    async def work() -> None:
        admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
        await admin.start()
        try:
            await admin.create_topics([NewTopic(topic, 1, 1)])
        finally:
            await admin.close()
        async with AIOKafkaProducer(bootstrap_servers=bootstrap) as producer:
            await producer.send_and_wait(topic, value, partition=0)

    asyncio.run(asyncio.wait_for(work(), 20))


def first_value(bootstrap: str, topic: str) -> bytes:
    async def work() -> bytes:
        async with AIOKafkaConsumer(bootstrap_servers=bootstrap) as consumer:
            partition = TopicPartition(topic, 0)
            consumer.assign([partition])
            await consumer.seek_to_beginning(partition)
            record = await consumer.getone()
            assert record.value is not None
            return bytes(record.value)

    return asyncio.run(asyncio.wait_for(work(), 20))
