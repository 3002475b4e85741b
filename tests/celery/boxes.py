"""Programs on kombu without tasks of Celery. ``CHANGED`` makes them others; the first argument says what one does."""

from __future__ import annotations

import os
import sys
import threading
import uuid
from typing import Any

import kombu.common
from celery import Celery
from kombu.connection import Connection
from kombu.entity import Exchange, Queue
from kombu.message import Message
from kombu.messaging import Consumer, Producer
from kombu.mixins import ConsumerMixin, ConsumerProducerMixin

CHANGED = os.environ.get("CHANGED", "")
ORDERS = 5
SHOP = Exchange("shop", "direct")
QUEUE = Queue("orders", SHOP, routing_key="new")
DONE = Queue("done", SHOP, routing_key="done")


def connection() -> Connection:
    """Where the broker is: a folder, or a server."""
    folder = os.environ.get("BROKER")
    if folder is None:
        return Connection(os.environ["BROKER_URL"])
    options = {"data_folder_in": folder, "data_folder_out": folder, "control_folder": f"{folder}-control"}
    return Connection("filesystem://", transport_options=options)


def handle(body: Any, message: Message, producer: Producer) -> None:
    """Handle an order: the third is rejected."""
    order = body["id"]
    print(
        "order", body, message.headers.get("n"), message.delivery_info["routing_key"], message.content_type, flush=True
    )
    if order == 3:
        message.reject()
        return
    if CHANGED != "dropped":
        total = body["price"] * (3 if CHANGED == "body" else 2)
        producer.publish({"total": total, "token": str(uuid.uuid4())}, exchange=SHOP, routing_key="done")
    if CHANGED == "ack":
        message.requeue()
    else:
        message.ack()


class Worker(ConsumerProducerMixin):
    """Handles orders in a function, until it has handled all."""

    def __init__(self, conn: Connection, by: str) -> None:
        self.connection = conn
        self.by = by
        self.left = ORDERS

    def get_consumers(self, Consumer: Any, channel: Any) -> list[Any]:  # noqa: N803 - as kombu calls it
        """One consumer, by either of its ways."""
        if self.by == "on_message":
            return [Consumer([QUEUE], on_message=lambda message: self.on_order(message.decode(), message))]
        return [Consumer([QUEUE], callbacks=[self.on_order], accept=["json"], prefetch_count=2)]

    def on_order(self, body: Any, message: Message) -> None:
        """Handle one, and stop behind the last."""
        handle(body, message, self.producer)
        self.left -= 1
        if not self.left and os.environ.get("STOPS"):
            self.should_stop = True


def send(conn: Connection) -> None:
    """Send orders."""
    producer = conn.Producer()
    for number in range(1, ORDERS + 1):
        producer.publish(
            {"id": number, "price": 10}, exchange=SHOP, routing_key="new", declare=[QUEUE, DONE], headers={"n": number}
        )


def callbacks(conn: Connection) -> None:
    """Handle orders by a mixin's callbacks."""
    Worker(conn, "callbacks").run()


def on_message(conn: Connection) -> None:
    """Handle orders by a mixin's one function."""
    Worker(conn, "on_message").run()


def drain(conn: Connection) -> None:
    """Handle orders in a consumer's callback, and acknowledge each from a thread, later."""
    left = [ORDERS]

    def handled(body: Any, message: Message) -> None:
        print("order", body, type(message.body).__name__, flush=True)
        producer.publish(body, exchange=SHOP, routing_key="done")
        thread = threading.Thread(target=message.ack)
        thread.start()
        thread.join()
        left[0] -= 1

    with conn.Producer() as producer, conn.Consumer([QUEUE], callbacks=[handled]):
        while left[0] or not os.environ.get("STOPS"):
            conn.drain_events()


def simple(conn: Connection) -> None:
    """Take orders one by one, until there is none for a second."""
    queue, producer = conn.SimpleQueue(QUEUE), conn.Producer()
    while True:
        try:
            message = queue.get(timeout=1)
        except queue.Empty:
            break
        handle(message.payload, message, producer)
    queue.close()


def forever(conn: Connection) -> None:
    """Take orders one by one, for ever."""
    queue, producer = conn.SimpleQueue(QUEUE), conn.Producer()
    for _ in range(ORDERS) if os.environ.get("STOPS") else iter(int, 1):
        message = queue.get()
        handle(message.payload, message, producer)


def poll(conn: Connection) -> None:
    """Take orders one by one, while there is one at once."""
    queue, producer = QUEUE(conn.default_channel), conn.Producer()
    queue.declare()
    while (message := queue.get()) is not None:
        handle(message.payload, message, producer)


def iterate(conn: Connection) -> None:
    """Take orders from kombu's iterator."""
    producer = conn.Producer()
    for body, message in kombu.common.itermessages(conn, conn.default_channel, QUEUE, limit=ORDERS, timeout=1):
        handle(body, message, producer)


class Squares(ConsumerMixin):
    """Answers requests."""

    def __init__(self, conn: Connection) -> None:
        self.connection = conn
        self.left = 3

    def get_consumers(self, Consumer: Any, channel: Any) -> list[Any]:  # noqa: N803 - as above
        """One consumer."""
        return [Consumer([Queue("squares")], on_message=self.answer, accept=["json"])]

    def answer(self, message: Message) -> None:
        """Answer one."""
        told = message.properties
        self.connection.Producer().publish(
            {"result": message.payload["n"] ** 2},
            exchange="",
            routing_key=told["reply_to"],
            correlation_id=told["correlation_id"],
        )
        message.ack()
        self.left -= 1
        self.should_stop = not self.left


def serve(conn: Connection) -> None:
    """Answer three requests."""
    Queue("squares")(conn.default_channel).declare()
    print("serves", flush=True)
    Squares(conn).run()


def ask(conn: Connection) -> None:
    """Ask three times, each by a queue of its own, and wait for each answer."""
    for number in (2, 3, 4):
        replies: list[Any] = []
        queue, request = Queue(str(uuid.uuid4()), exclusive=True, auto_delete=True), str(uuid.uuid4())

        def answered(message: Message, request: str = request, replies: list[Any] = replies) -> None:
            assert message.properties["correlation_id"] == request
            replies.append(message.payload["result"])

        with Consumer(conn.channel(), on_message=answered, queues=[queue], no_ack=True, accept=["json"]):
            conn.Producer().publish(
                {"n": number}, exchange="", routing_key="squares", reply_to=queue.name, correlation_id=request
            )
            while not replies:
                try:
                    conn.drain_events(timeout=5)
                except TimeoutError:
                    print("waits", flush=True)
        print("square", replies)


def events(conn: Connection) -> None:
    """Watch Celery's events, those of this process."""
    app, producer, left = Celery(set_as_current=False), conn.Producer(), [ORDERS]

    def failed(event: Any) -> None:
        print("failed", event["uuid"], flush=True)
        producer.publish({"failed": event["uuid"], "changed": CHANGED}, exchange=SHOP, routing_key="done")
        left[0] -= 1
        receiver.should_stop = bool(os.environ.get("STOPS")) and not left[0]

    receiver = app.events.Receiver(conn, handlers={"task-failed": failed})
    receiver.queue(receiver.channel).declare()
    with app.events.Dispatcher(conn) as dispatcher:
        for number in range(ORDERS):
            dispatcher.send("task-failed", uuid=f"task {number}")
    receiver.capture(limit=None, timeout=None, wakeup=False)


_WAYS = (send, callbacks, on_message, drain, simple, forever, poll, iterate, serve, ask, events)
DOES = {one.__name__: one for one in _WAYS}


def main() -> None:
    """Do what is asked for."""
    with connection() as conn:
        DOES[sys.argv[1]](conn)
        print("ends")


if __name__ == "__main__":
    main()
