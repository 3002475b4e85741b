"""Puts orders into the topic, and behind them a message without a body."""

from __future__ import annotations

import asyncio
import json
import os

from aiokafka import AIOKafkaProducer

ORDERS = {"a-1": ("tea", 2), "a-2": ("cup", 1), "a-3": ("tea", 3), "a-4": ("tea", 1), "a-5": ("cup", 1)}


async def main() -> None:
    """Send them."""
    async with AIOKafkaProducer(bootstrap_servers=os.environ.get("KAFKA", "127.0.0.1:9092")) as producer:
        for key, (item, count) in ORDERS.items():
            body = json.dumps({"item": item, "count": count}).encode()
            await producer.send_and_wait("orders", body, key=key.encode())
        await producer.send_and_wait("orders", None, key=b"end")


if __name__ == "__main__":
    asyncio.run(main())
