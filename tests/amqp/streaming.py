"""A shop's worker over aio-pika. ``CHANGED`` makes the app another one; the first argument says what it does."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import uuid
from typing import Any

import aio_pika
from aio_pika.patterns import RPC

CHANGED = os.environ.get("CHANGED", "")
ORDERS = 5


async def handle(message: Any, exchange: Any) -> None:
    """Handle an order: the third fails, and is refused by ``process()``."""
    async with message.process():
        order = json.loads(message.body)
        print("order", order, message.headers, message.routing_key, flush=True)
        if order["id"] == 3:
            raise ValueError("no three")
        await asyncio.sleep(0)
        receipt = {"total": order["price"] * (3 if CHANGED == "body" else 2), "token": str(uuid.uuid4())}
        sent = aio_pika.Message(json.dumps(receipt).encode(), content_type="application/json", headers={"half": 0.5})
        await exchange.publish(sent, "done.1")
        if CHANGED == "extra":
            await exchange.publish(aio_pika.Message(b"\0\xff"), "audit")


async def send(channel: Any, exchange: Any, _queue: Any) -> None:
    """Send orders; look for a queue that is not there."""
    for number in range(1, ORDERS + 1):
        body = json.dumps({"id": number, "price": 10}).encode()
        print(type(await exchange.publish(aio_pika.Message(body, headers={"n": number}), "new.order")).__name__)
    try:
        await channel.get_queue("gone")
    except aio_pika.exceptions.ChannelNotFoundEntity as error:
        print(type(error).__name__, error.args)


async def loop(_channel: Any, exchange: Any, queue: Any) -> None:
    """Handle orders in a loop that goes on for ever, or until the last of them."""
    async with queue.iterator() as messages:
        async for message in messages:
            try:
                await handle(message, exchange)
            except ValueError as error:
                print("failed", error)
            if message.headers["n"] == ORDERS and os.environ.get("STOPS"):
                break
    print("the loop ends")


async def call_back(_channel: Any, exchange: Any, queue: Any) -> None:
    """Handle orders in a function, and wait for ever."""
    left = [ORDERS]
    over = asyncio.Event()

    async def handled(message: Any) -> None:
        try:
            await handle(message, exchange)
        finally:
            left[0] -= 1
            if not left[0] and os.environ.get("STOPS"):
                over.set()

    await queue.consume(handled)
    try:
        await over.wait()
    finally:
        print("finally", flush=True)


async def poll(_channel: Any, _exchange: Any, queue: Any) -> None:
    """Take orders one by one."""
    while (message := await queue.get(fail=False)) is not None:
        print(message.body, message.headers, message.message_count)
        await message.ack()


async def serve(channel: Any, _exchange: Any, _queue: Any) -> None:
    """Answer requests until one asks to stop."""
    rpc, over = await RPC.create(channel), asyncio.Event()

    async def multiply(one: int, other: int) -> int:
        if other < 0:
            over.set()
        return one * other

    await rpc.register("multiply", multiply, auto_delete=True)
    print("serves", flush=True)
    await over.wait()
    await asyncio.sleep(0.5)


async def ask(channel: Any, _exchange: Any, _queue: Any) -> None:
    """Ask one by one and at once."""
    rpc = await RPC.create(channel)
    print([await rpc.proxy.multiply(one=2, other=number) for number in (1, 2)])
    print(await asyncio.gather(*(rpc.call("multiply", {"one": 3, "other": number}) for number in (1, 2))))
    print(await rpc.proxy.multiply(one=2, other=-1))


DOES = {one.__name__: one for one in (send, loop, call_back, poll, serve, ask)}


async def main() -> None:
    """Do what is asked for."""
    connection = await aio_pika.connect_robust(os.environ["AMQP_URL"])
    async with connection:
        channel = await connection.channel()
        await channel.set_qos(prefetch_count=2)
        exchange = await channel.declare_exchange("ashop", aio_pika.ExchangeType.TOPIC)
        queue = await channel.declare_queue("aorders")
        await queue.bind(exchange, "new.*")
        await DOES[sys.argv[1]](channel, exchange, queue)


if __name__ == "__main__":
    asyncio.run(main())
