"""Web apps that send messages: FastAPI with aiokafka, Flask with kafka-python and confluent-kafka."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from confluent_kafka import Producer
from fastapi import FastAPI
from flask import Flask
from kafka import KafkaProducer

SERVERS = os.environ["KAFKA"]
MORE = int(os.environ.get("MORE", "0"))


@asynccontextmanager
async def with_producer(app: FastAPI) -> AsyncIterator[None]:
    """Have a producer as long as the app, and a consumer in the background."""
    async with AIOKafkaProducer(bootstrap_servers=SERVERS) as app.state.producer:
        task = asyncio.create_task(audit(app.state.producer))
        yield
        task.cancel()


async def audit(producer: AIOKafkaProducer) -> None:
    """Take the orders, and send word of each."""
    async with AIOKafkaConsumer(
        "orders", bootstrap_servers=SERVERS, group_id="audit", auto_offset_reset="earliest"
    ) as consumer:
        async for message in consumer:
            await producer.send_and_wait("audit", b"at %d" % message.offset)


fastapi_app = FastAPI(lifespan=with_producer)


@fastapi_app.post("/orders/{number}")
async def order(number: int) -> dict[str, int]:
    """Send an order, and say where it is."""
    body = json.dumps({"number": number + MORE}).encode()
    report = await fastapi_app.state.producer.send_and_wait("orders", body, key=b"shop")
    return {"offset": report.offset}


def flask_app() -> Flask:
    """Make the app, with both producers."""
    app = Flask(__name__)
    plain = KafkaProducer(bootstrap_servers=SERVERS)
    confluent = Producer({"bootstrap.servers": SERVERS})

    @app.post("/orders/<int:number>")
    def order(number: int) -> dict[str, Any]:
        offsets = [plain.send("plain", b"%d" % (number + MORE)).get(timeout=30).offset]
        confluent.produce("confluent", str(number), on_delivery=lambda _error, sent: offsets.append(sent.offset()))
        confluent.flush()
        plain.send("fire", b"and forget")
        return {"offsets": offsets}

    return app
