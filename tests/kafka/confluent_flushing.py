"""A producer whose broker cannot be reached, and which does not wait for ever."""

from __future__ import annotations

import sys

from confluent_kafka import KafkaError, Message, Producer


def reported(error: KafkaError | None, message: Message) -> None:
    """Say what became of a message."""
    sys.stdout.write(f"{message.value()!r} {error and error.name()}\n")


def main() -> None:
    """Flush with too little time, then with enough, then leave a message behind."""
    producer = Producer({"bootstrap.servers": "127.0.0.1:1", "message.timeout.ms": 1500, "log_level": 0})
    producer.produce("orders", b"first", on_delivery=reported)
    producer.produce("orders", b"second")
    sys.stdout.write(f"{producer.flush(0.01)} left, {len(producer)} wait\n")
    sys.stdout.write(f"{producer.flush(60)} left, {len(producer)} wait\n")
    producer.produce("orders", b"third", on_delivery=reported)
    sys.stdout.write(f"{producer.flush(0.01)} left, {len(producer)} wait\n")


if __name__ == "__main__":
    main()
