"""An aiokafka program as its documentation has them: it takes messages one by one, and batches."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import urllib.request
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRecord
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

SERVERS = os.environ["KAFKA"]
CHANGED = os.environ.get("CHANGED", "")
SETTINGS: dict[str, Any] = {"bootstrap_servers": SERVERS, "auto_offset_reset": "earliest", "enable_auto_commit": False}


def say(*words: object) -> None:
    """Print, at once."""
    sys.stdout.write(" ".join(map(str, words)) + "\n")
    sys.stdout.flush()


def is_changed(what: str, order: dict[str, int]) -> bool:
    """Whether this is the order that a variant of the program handles in another way."""
    return what == CHANGED and order["id"] == 0


def price(order: int) -> int:
    """Ask a service."""
    url = f"{os.environ['PEER']}/{order}"
    with urllib.request.urlopen(url, timeout=10) as reply:  # noqa: S310 - on loopback
        return len(reply.read())


async def handle(message: ConsumerRecord[str, Any], producer: AIOKafkaProducer) -> None:
    """Handle one order."""
    order = message.value
    if order["count"] < 0:
        if CHANGED == "added":
            await producer.send_and_wait("refused", b"added")
        raise ValueError(f"order {order['id']}: {order['count']}")
    total = order["count"] * await asyncio.to_thread(price, order["id"] + (40 if is_changed("call", order) else 0))
    told = json.dumps({"id": order["id"], "total": total + (1 if is_changed("value", order) else 0)}).encode()
    if CHANGED == "dropped":
        return
    topic, key = "prices" if is_changed("topic", order) else "priced", message.key.encode()
    headers = [("from", b"nobody" if is_changed("header", order) else b"orders")]
    if CHANGED == "refactored":
        report = await (await producer.send(topic, key=key, headers=headers, value=told))
    else:
        report = await producer.send_and_wait(
            topic, told, key=b"" if is_changed("key", order) else key, headers=headers
        )
    say("priced", report.topic, report.partition, report.offset)


async def one_by_one(producer: AIOKafkaProducer) -> None:
    """Take five orders."""
    consumer = AIOKafkaConsumer(
        "orders", group_id="shop", key_deserializer=bytes.decode, value_deserializer=json.loads, **SETTINGS
    )
    async with consumer:
        left = 5
        async for message in consumer:
            try:
                await handle(message, producer)
            except ValueError as error:
                say("refused", error)
            if CHANGED != "commit":
                await consumer.commit()
            say("at", [await consumer.position(one) for one in consumer.assignment()])
            left -= 1
            if not left:
                break


async def by_the_batch(producer: AIOKafkaProducer) -> None:
    """Take events until the last."""
    consumer = AIOKafkaConsumer(bootstrap_servers=SERVERS, auto_offset_reset="earliest")
    consumer.subscribe(["events"])
    await consumer.start()
    try:
        seen = b""
        while not seen.endswith(b"last"):
            for partition, messages in (await consumer.getmany(timeout_ms=200, max_records=2)).items():
                seen = b" ".join(message.value or b"nothing" for message in messages)
                say(partition.topic, partition.partition, messages[0].offset, dict(messages[0].headers))
                future = await producer.send("seen", seen)
                say("offset", (await future).offset)
        say(await consumer.end_offsets(consumer.assignment()), consumer.partitions_for_topic("events"))
    finally:
        await consumer.stop()


async def fill() -> None:
    """Put everything there."""
    async with AIOKafkaProducer(bootstrap_servers=SERVERS) as producer:
        for number in range(5):
            order = {"id": number, "count": -1 if number == 3 else number}
            await producer.send_and_wait("orders", json.dumps(order).encode(), key=f"k{number}".encode())
        for body in (b"\xff\x00", None, b"", b"text", b"last"):
            await producer.send_and_wait(
                "events", body, key=b"key", headers=[("authorization", b"Bearer s3cr3t-token")]
            )


async def main() -> None:
    """Work."""
    if os.environ.get("FILL"):
        await fill()
        return
    admin = AIOKafkaAdminClient(bootstrap_servers=SERVERS)
    await admin.start()
    say(await admin.create_topics([NewTopic("made", 2, 1)]), list((await admin.describe_topics(["made"]))[0]))
    await admin.close()
    async with AIOKafkaProducer(bootstrap_servers=SERVERS) as producer:
        await one_by_one(producer)
        await by_the_batch(producer)


if __name__ == "__main__":
    asyncio.run(main())
