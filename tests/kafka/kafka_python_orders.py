"""A kafka-python program as its documentation has them: it takes messages one by one, and batches."""

from __future__ import annotations

import json
import os
import sys
import urllib.request
from contextlib import closing
from typing import Any

from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from kafka.admin import KafkaAdminClient, NewTopic
from kafka.errors import TopicAlreadyExistsError

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


def handle(message: Any, producer: KafkaProducer) -> None:
    """Handle one order."""
    order = message.value
    if order["count"] < 0:
        if CHANGED == "added":
            producer.send("refused", b"added").get(timeout=10)
        raise ValueError(f"order {order['id']}: {order['count']}")
    total = order["count"] * price(order["id"] + (40 if is_changed("call", order) else 0))
    told = json.dumps({"id": order["id"], "total": total + (1 if is_changed("value", order) else 0)}).encode()
    if CHANGED == "dropped":
        return
    report = producer.send("priced", told, key=message.key.encode(), headers=[("from", b"orders")]).get(timeout=10)
    say("priced", report.topic, report.partition, report.offset)


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
            say("refused", error)
        if CHANGED != "commit":
            consumer.commit()
        say("at", [consumer.position(one) for one in consumer.assignment()])
    say("committed", consumer.committed(TopicPartition("orders", 0)))
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
            say(messages[0].offset, dict(messages[0].headers))
            producer.send("seen", seen).add_callback(lambda report: say("offset", report.offset))
            producer.flush()
    say(consumer.end_offsets([partition]), consumer.subscription(), consumer.paused())
    consumer.close()


def fill() -> None:
    """Put everything there."""
    with closing(KafkaProducer(bootstrap_servers=SERVERS)) as producer:
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
    with closing(KafkaAdminClient(bootstrap_servers=SERVERS)) as admin:
        say(len(admin.create_topics([NewTopic("made", 2, 1)])["topics"]), "made" in admin.list_topics())
        try:
            admin.create_topics([NewTopic("made", 2, 1)])
        except TopicAlreadyExistsError as error:
            say(error.errno)
    with closing(KafkaProducer(bootstrap_servers=SERVERS)) as producer:
        one_by_one(producer)
        by_the_batch(producer)


if __name__ == "__main__":
    main()
