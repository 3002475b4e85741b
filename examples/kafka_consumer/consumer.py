"""Takes orders from a topic, keeps the stock in SQLite, sends an invoice or a refusal for each, and commits."""

from __future__ import annotations

import asyncio
import json
import os
import sqlite3
import uuid

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRecord

SERVERS = os.environ.get("KAFKA", "127.0.0.1:9092")


class OutOfStockError(Exception):
    """There are fewer than were ordered."""


def stock() -> sqlite3.Connection:
    """Open the stock."""
    connection = sqlite3.connect(":memory:")
    connection.execute("create table stock (item text primary key, count integer)")
    connection.executemany("insert into stock values (?, ?)", [("tea", 5), ("cup", 2)])
    return connection


def take(connection: sqlite3.Connection, item: str, count: int) -> int:
    """Take something from the stock; what is left of it."""
    [left] = connection.execute("select count from stock where item = ?", (item,)).fetchone() or (0,)
    if left < count:
        raise OutOfStockError(f"{count} {item} ordered, {left} there")
    connection.execute("update stock set count = count - ? where item = ?", (count, item))
    return int(left) - count


async def handle(
    message: ConsumerRecord[str, bytes], connection: sqlite3.Connection, producer: AIOKafkaProducer
) -> None:
    """Handle one order."""
    order = json.loads(message.value or b"null")
    try:
        left = take(connection, order["item"], order["count"])
    except OutOfStockError as error:
        await producer.send_and_wait("refused", json.dumps({"order": message.key, "why": str(error)}).encode())
        print(f"order {message.key}: refused, {error}")
        return
    invoice = {"id": str(uuid.uuid4()), "order": message.key, **order}
    report = await producer.send_and_wait("invoices", json.dumps(invoice).encode(), key=message.key.encode())
    print(f"order {message.key}: invoice {invoice['id']} at offset {report.offset}, {left} {order['item']} left")


async def main() -> None:
    """Take orders until the message without a body."""
    consumer = AIOKafkaConsumer(
        "orders",
        bootstrap_servers=SERVERS,
        group_id="shop",
        auto_offset_reset="earliest",
        enable_auto_commit=False,
        key_deserializer=bytes.decode,
    )
    connection = stock()
    async with consumer, AIOKafkaProducer(bootstrap_servers=SERVERS) as producer:
        async for message in consumer:
            if message.value is None:
                break
            await handle(message, connection, producer)
            await consumer.commit()


if __name__ == "__main__":
    asyncio.run(main())
