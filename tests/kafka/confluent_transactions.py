"""Orders become prices in transactions, the second of which is aborted and done again."""

from __future__ import annotations

import os
import sys
from typing import Any

from confluent_kafka import Consumer, KafkaError, Message, Producer, TopicPartition

SERVERS = {"bootstrap.servers": os.environ["KAFKA"], "log_level": 0}
COUNT = 4


def say(*words: object) -> None:
    """Print, at once."""
    sys.stdout.write(" ".join(map(str, words)) + "\n")
    sys.stdout.flush()


def reported(error: KafkaError | None, message: Message) -> None:
    """Say what became of a message."""
    say(message.value(), error and error.name())


def fill() -> None:
    """Put the orders there."""
    producer = Producer(SERVERS)
    for number in range(COUNT):
        producer.produce("orders", str(number))
    producer.flush()


def price(producer: Any, consumer: Any, orders: list[Any], *, aborts: bool) -> None:
    """Handle a batch, whole or not at all."""
    producer.begin_transaction()
    for order in orders:
        producer.produce("priced", b"price of " + order.value(), on_delivery=reported)
    if aborts:
        producer.abort_transaction()
        consumer.seek(TopicPartition("orders", 0, orders[0].offset()))
    else:
        done = TopicPartition("orders", 0, orders[-1].offset() + 1)
        producer.send_offsets_to_transaction([done], consumer.consumer_group_metadata())
        producer.commit_transaction()


def main() -> None:
    """Handle all."""
    if os.environ.get("FILL"):
        fill()
        return
    producer = Producer({**SERVERS, "transactional.id": "pricing"})
    producer.init_transactions()
    consumer = Consumer({**SERVERS, "group.id": "shop", "auto.offset.reset": "earliest", "enable.auto.commit": False})
    consumer.subscribe(["orders"])
    left, has_aborted = COUNT, False
    while left:
        orders = consumer.consume(2, 1.0)
        if orders:
            aborts = left < COUNT and not has_aborted
            price(producer, consumer, orders, aborts=aborts)
            has_aborted, left = has_aborted or aborts, left - (0 if aborts else len(orders))
            say("left", left)
    say("committed", [one.offset for one in consumer.committed([TopicPartition("orders", 0)])])
    consumer.close()


if __name__ == "__main__":
    main()
