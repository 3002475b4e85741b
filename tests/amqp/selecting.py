"""A worker on pika's own loop, which goes on for ever; it publishes with confirmations."""

from __future__ import annotations

import os
from typing import Any

import pika


def opened(connection: Any) -> None:
    """Ask for a channel."""
    connection.channel(on_open_callback=ready)


def ready(channel: Any) -> None:
    """Consume."""
    channel.confirm_delivery(lambda frame: print("confirmed", frame.method, flush=True))
    channel.queue_declare("orders", callback=lambda _frame: channel.basic_consume("orders", handle))


def handle(channel: Any, method: Any, _properties: Any, body: bytes) -> None:
    """Pass a message on."""
    print("order", body, flush=True)
    channel.basic_publish("", "receipts", body + b"!")
    channel.basic_ack(method.delivery_tag)


if __name__ == "__main__":
    started = pika.SelectConnection(pika.URLParameters(os.environ["AMQP_URL"]), on_open_callback=opened)
    started.ioloop.start()
