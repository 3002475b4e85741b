"""A kafka-python program as its documentation has them: messages one by one, then by the batch; it produces, commits."""

from __future__ import annotations

import json
import os
import urllib.request
from typing import Any

from kafka import KafkaConsumer, KafkaProducer, TopicPartition

SERVERS = os.environ["KAFKA"]
CHANGED = os.environ.get("CHANGED", "")
SETTINGS: dict[str, Any] = {"bootstrap_servers": SERVERS, "auto_offset_reset": "earliest", "enable_auto_commit": False}


def price(order: int) -> int:
    """Ask a service."""
    with urllib.request.urlopen(f"{os.environ['PEER']}/{order}", timeout=10) as reply:
        return len(reply.read())


def handle(message: Any, producer: KafkaProducer) -> None:
    """Handle one order."""
    order = message.value
    if order["count"] < 0:
        if CHANGED == "added":
            producer.send("refused", b"added").get(timeout=10)
        raise ValueError(f"order {order['id']}: {order['count']}")
    total = order["count"] * price(order["id"] + (4 if CHANGED == "call" else 0))
    told = json.dumps({"id": order["id"], "total": total + (1 if CHANGED == "value" else 0)}).encode()
    if CHANGED == "dropped":
        return
    report = producer.send("priced", told, key=message.key.encode(), headers=[("from", b"orders")]).get(timeout=10)
    print("priced", report.topic, report.partition, report.offset, flush=True)


def one_by_one(producer: KafkaProducer) -> None:
    """Take orders until none comes for a while."""
    consumer = KafkaConsumer(
        "orders",
        group_id="shop",
        key_deserializer=bytes.decode,
        value_deserializer=json.loads,
        consumer_timeout_ms=3000,
        **SETTINGS,
    )
    for message in consumer:
        try:
            handle(message, producer)
        except ValueError as error:
            print("refused", error, flush=True)
        if CHANGED != "commit":
            consumer.commit()
        print("at", [consumer.position(one) for one in consumer.assignment()], flush=True)
    print("committed", consumer.committed(TopicPartition("orders", 0)), flush=True)
    consumer.close()


def by_the_batch(producer: KafkaProducer) -> None:
    """Take events until the last."""
    consumer = KafkaConsumer(bootstrap_servers=SERVERS)
    partition = TopicPartition("events", 0)
    consumer.assign([partition])
    consumer.seek(partition, 1)
    seen = b""
    while not seen.endswith(b"last"):
        for messages in consumer.poll(timeout_ms=200, max_records=2).values():
            seen = b" ".join(message.value or b"nothing" for message in messages)
            print(messages[0].offset, dict(messages[0].headers), flush=True)
            producer.send("seen", seen).add_callback(lambda report: print("offset", report.offset, flush=True))
            producer.flush()
    print(consumer.end_offsets([partition]), consumer.subscription(), consumer.paused(), flush=True)
    consumer.close()


def fill() -> None:
    """Put everything there."""
    with KafkaProducer(bootstrap_servers=SERVERS, value_serializer=lambda text: text) as producer:
        for number in range(5):
            order = {"id": number, "count": -1 if number == 3 else number}
            producer.send("orders", json.dumps(order).encode(), key=f"k{number}".encode()).get()
        for body in (b"\xff\x00", None, b"", b"text", b"last"):
            producer.send("events", body, key=b"key", headers=[("authorization", b"Bearer s3cr3t-token")]).get()


def main() -> None:
    """Work."""
    if os.environ.get("FILL"):
        fill()
        return
    with KafkaProducer(bootstrap_servers=SERVERS) as producer:
        one_by_one(producer)
        by_the_batch(producer)


if __name__ == "__main__":
    main()
