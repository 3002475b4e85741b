"""A shop's worker over pika. ``CHANGED`` makes the app another one; the first argument says what it does."""

from __future__ import annotations

import json
import os
import sys
import threading
import uuid
from functools import partial
from typing import Any

import pika
import pika.exceptions

CHANGED = os.environ.get("CHANGED", "")
ORDERS = 6


def handle(channel: Any, method: Any, properties: Any, body: bytes) -> None:
    """Handle an order: the third is refused, the fourth rejected."""
    order = json.loads(body)
    print("order", order, properties.headers, properties.priority, method.routing_key, flush=True)
    if order["id"] == 3:
        channel.basic_nack(method.delivery_tag, requeue=False)
        return
    if order["id"] == 4:
        channel.basic_reject(method.delivery_tag, requeue=False)
        return
    total = order["price"] * (3 if CHANGED == "body" else 2)
    receipt = json.dumps({"total": total, "token": str(uuid.uuid4())})
    place, headers = ("audit" if CHANGED == "key" else f"done.{order['id']}"), {"x": 2 if CHANGED == "header" else 1}
    publish = partial(channel.basic_publish, properties=pika.BasicProperties(headers=headers), body=receipt)
    if CHANGED == "refactored":
        channel.basic_publish("shop", place, receipt, pika.BasicProperties(headers=headers), False)  # noqa: FBT003
    elif CHANGED != "dropped":
        publish(exchange="shop", routing_key=place)
    if CHANGED == "extra":
        channel.basic_publish("shop", "audit", b"\0\xff")
    if CHANGED == "ack":
        channel.basic_nack(method.delivery_tag, requeue=False)
    else:
        channel.basic_ack(method.delivery_tag)


def send(channel: Any) -> None:
    """Send orders, confirmed; one message that nothing takes, one to an exchange that is not there."""
    channel.confirm_delivery()
    for number in range(1, ORDERS + 1):
        properties = pika.BasicProperties(headers={"n": number} if number % 2 else None, priority=number)
        channel.basic_publish("shop", "new.order", json.dumps({"id": number, "price": 10}), properties)
    try:
        channel.basic_publish("shop", "nowhere", b"", mandatory=True)
    except pika.exceptions.UnroutableError as error:
        print(error, error.messages[0].method, flush=True)
    print(channel.queue_declare("orders", passive=True).method.message_count)
    try:
        channel.basic_publish("gone", "nowhere", b"")
    except pika.exceptions.ChannelClosedByBroker as error:
        print(error.reply_code, error.reply_text)


def call_back(channel: Any) -> None:
    """Handle orders in a function; the worker goes on until somebody stops it."""
    left = [ORDERS]

    def handled(*message: Any) -> None:
        handle(*message)
        left[0] -= 1
        if not left[0] and os.environ.get("STOPS"):
            channel.stop_consuming()

    channel.basic_qos(prefetch_count=2)
    channel.basic_consume("orders", handled)
    channel.start_consuming()


def loop(channel: Any) -> None:
    """Handle orders in a loop."""
    for method, properties, body in channel.consume("orders"):
        handle(channel, method, properties, body)
        if json.loads(body)["id"] == ORDERS:
            break
    channel.cancel()


def threads(channel: Any) -> None:
    """Handle each order in a thread, and acknowledge all of them at once from the last."""
    started: list[threading.Thread] = []

    def work(tag: int) -> None:
        if tag == ORDERS:
            channel.connection.add_callback_threadsafe(partial(channel.basic_ack, tag, multiple=True))
            channel.connection.add_callback_threadsafe(channel.stop_consuming)

    def handled(_channel: Any, method: Any, _properties: Any, _body: bytes) -> None:
        started.append(threading.Thread(target=work, args=(method.delivery_tag,)))
        started[-1].start()

    channel.basic_consume("orders", handled)
    channel.start_consuming()
    print("acknowledged", len(started))


def poll(channel: Any) -> None:
    """Take orders one by one."""
    while True:
        method, properties, body = channel.basic_get("orders")
        print(method, properties, body)
        if method is None:
            return
        channel.basic_ack(method.delivery_tag)


def serve(channel: Any) -> None:
    """Answer requests, three of them."""
    channel.queue_declare("squares")
    print("serves", flush=True)
    for count, (method, properties, body) in enumerate(channel.consume("squares"), 1):
        answer = pika.BasicProperties(correlation_id=properties.correlation_id)
        channel.basic_publish("", properties.reply_to, str(int(body) ** 2), answer)
        channel.basic_ack(method.delivery_tag)
        if count == 3:
            break
    channel.cancel()


def ask(channel: Any) -> None:
    """Ask three times, and wait for each answer."""
    replies: dict[str, bytes] = {}
    queue = channel.queue_declare("", exclusive=True).method.queue

    def answered(_channel: Any, _method: Any, properties: Any, body: bytes) -> None:
        replies[properties.correlation_id] = body

    channel.basic_consume(queue, answered, auto_ack=True)
    for number in (2, 3, 4):
        request = str(uuid.uuid4())
        properties = pika.BasicProperties(reply_to=queue, correlation_id=request)
        channel.basic_publish("", "squares", str(number), properties)
        while request not in replies:
            channel.connection.process_data_events(time_limit=1)
        print("square", int(replies[request]))


def pair(channel: Any) -> None:
    """Handle orders in two functions at once, which take turns."""
    left = [ORDERS]
    for name in ("here", "there"):
        channel.basic_consume("orders", partial(_handle_by, name, left))
    for number in range(ORDERS):
        channel.basic_publish("shop", "new.order", str(number))
    channel.start_consuming()


def turns(channel: Any) -> None:
    """Handle half of the orders in one function, and what is left in another."""
    for number in range(ORDERS):
        channel.basic_publish("shop", "new.order", str(number))
    for name in ("first", "second"):
        channel.basic_consume("orders", partial(_handle_by, name, [ORDERS // 2]))
        channel.start_consuming()


def _handle_by(name: str, left: list[int], channel: Any, method: Any, _properties: Any, body: bytes) -> None:
    print(name, body, flush=True)
    channel.basic_publish("shop", f"done.{name}", body)
    channel.basic_ack(method.delivery_tag)
    left[0] -= 1
    if not left[0]:
        channel.stop_consuming()


DOES = {one.__name__: one for one in (send, call_back, loop, threads, poll, serve, ask, pair, turns)}


def main() -> None:
    """Do what is asked for."""
    connection = pika.BlockingConnection(pika.URLParameters(os.environ["AMQP_URL"]))
    channel = connection.channel()
    channel.exchange_declare("shop", "topic")
    channel.queue_declare("orders")
    channel.queue_bind("orders", "shop", "new.*")
    DOES[sys.argv[1]](channel)
    print("ends")
    connection.close()


if __name__ == "__main__":
    main()
