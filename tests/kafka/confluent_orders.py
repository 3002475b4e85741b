"""A confluent-kafka program as its documentation has them: it takes messages one by one, and batches."""

from __future__ import annotations

import json
import os
import sys
import urllib.request
from typing import Any

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, Producer, TopicPartition

SERVERS = os.environ["KAFKA"]
CHANGED = os.environ.get("CHANGED", "")
SETTINGS: dict[str, Any] = {
    "bootstrap.servers": SERVERS,
    "auto.offset.reset": "earliest",
    "enable.auto.commit": False,
    "enable.partition.eof": True,
}


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


def reported(error: KafkaError | None, message: Message) -> None:
    """Say what became of a message."""
    say("offset", message.topic(), message.partition(), message.offset(), message.key(), message.value(), error)


def handle(message: Message, producer: Producer) -> None:
    """Handle one order."""
    order = json.loads(message.value() or b"")
    if order["count"] < 0:
        if CHANGED == "added":
            producer.produce("refused", b"added")
        raise ValueError(f"order {order['id']}: {order['count']}")
    total = order["count"] * price(order["id"] + (40 if is_changed("call", order) else 0))
    told = json.dumps({"id": order["id"], "total": total + (1 if is_changed("value", order) else 0)})
    if CHANGED == "dropped":
        return
    producer.produce("priced", told, key=message.key(), headers={"from": b"orders"}, on_delivery=reported)
    producer.flush()


def one_by_one(producer: Producer) -> None:
    """Take orders until the end of the topic."""
    consumer = Consumer({**SETTINGS, "group.id": "shop"})
    consumer.subscribe(["orders"])
    while True:
        message = consumer.poll(1.0)
        if message is None:
            continue
        error = message.error()
        if error is not None:
            if error.code() == KafkaError._PARTITION_EOF:
                say("end", message.topic(), message.offset(), error.name())
                break
            raise KafkaException(error)
        try:
            handle(message, producer)
        except ValueError as refused:
            say("refused", refused)
        if CHANGED != "commit":
            say("committed", [one.offset for one in consumer.commit(message=message, asynchronous=False)])
        say("at", [one.offset for one in consumer.position(consumer.assignment())])
    consumer.close()


def by_the_batch(producer: Producer) -> None:
    """Take events until the last."""
    consumer = Consumer({**SETTINGS, "group.id": "batches", "enable.partition.eof": False})
    partition = TopicPartition("events", 0)
    consumer.assign([TopicPartition("events", 0, 1)])
    seen = b""
    while not seen.endswith(b"last"):
        messages = consumer.consume(4, timeout=5.0)
        if not messages:
            continue
        seen = b" ".join(message.value() or b"nothing" for message in messages)
        say(messages[0].offset(), messages[0].timestamp()[0], messages[0].headers())
        producer.produce("seen", seen, callback=reported)
        producer.poll(5)
    say(consumer.get_watermark_offsets(partition), sorted(consumer.list_topics("events").topics))
    consumer.close()


def fill() -> None:
    """Put everything there."""
    producer = Producer({"bootstrap.servers": SERVERS})
    for number in range(5):
        order = {"id": number, "count": -1 if number == 3 else number}
        producer.produce("orders", json.dumps(order), key=f"k{number}")
    for body in (b"\xff\x00", None, b"", b"text", b"last"):
        producer.produce("events", body, key=b"key", headers=[("authorization", b"Bearer s3cr3t-token")])
    producer.flush()


def main() -> None:
    """Work."""
    if os.environ.get("FILL"):
        fill()
        return
    producer = Producer({"bootstrap.servers": SERVERS})
    one_by_one(producer)
    by_the_batch(producer)
    say("left", producer.flush())


if __name__ == "__main__":
    main()
