"""aiokafka: each message, or batch, that a consumer takes is an entry, each message that a producer sends a call.

The seams are the client's public methods: below them, fetching and sending go on in tasks of the client's own. A replay
makes no connection: consumers get the recorded messages, producers the recorded reports.
"""

from __future__ import annotations

import asyncio
import importlib
import inspect
from collections.abc import Iterable, Iterator
from functools import cache, partial
from typing import Any, Final

from timetracer_otel.errors import ReplayMiss
from timetracer_otel.families.kafka import calls, producing, raw, records
from timetracer_otel.families.kafka.administering import Admin
from timetracer_otel.families.kafka.leaving import Leaving, serializing, taking
from timetracer_otel.families.kafka.methods import Client
from timetracer_otel.families.kafka.producing import NOTHING, Report, Sending
from timetracer_otel.families.kafka.raw import Kept
from timetracer_otel.families.kafka.subscribing import Subscribing
from timetracer_otel.families.kafka.taking import POLL_SECONDS, EndOfMessages, Taken
from timetracer_otel.families.kafka.values import Forms
from timetracer_otel.families.kinds.message import Record
from timetracer_otel.seams import Instrumentor, Integration, Patch

__all__ = ["INTEGRATION", "NAME"]

NAME: Final = "aiokafka"
_CONSUMER: Final = "aiokafka.consumer.consumer"
_PRODUCER: Final = "aiokafka.producer.producer"
_ADMIN: Final = "aiokafka.admin.client"
_KEPT: Final = "_timetracer_kept"
"""Where a fetcher has the bytes of what the app's functions made into something else."""
_MESSAGE_FORMAT: Final = 1
"""Of any broker since Kafka 0.10, by which sizes are estimated."""
_READS: Final = (
    "assignment", "beginning_offsets", "committed", "end_offsets", "highwater", "last_poll_timestamp",
    "last_stable_offset", "offsets_for_times", "partitions_for_topic", "position", "start", "topics",
)  # fmt: skip
_TELLS: Final = ("commit", "seek", "seek_to_beginning", "seek_to_committed", "seek_to_end")
_OF_PRODUCERS: Final = ("abort_transaction", "begin_transaction", "commit_transaction", "send_offsets_to_transaction")


@cache
def _forms() -> Forms:
    structs = importlib.import_module("aiokafka.structs")
    names = ("TopicPartition", "OffsetAndMetadata", "OffsetAndTimestamp", "RecordMetadata")
    struct = importlib.import_module("aiokafka.protocol.struct").Struct
    made = {name: getattr(structs, name) for name in names}
    return Forms(made, struct=struct, plain_modules="aiokafka.admin.")


_CLIENT: Final = Client(NAME, _forms, lambda instance: getattr(instance, "_group_id", None) or "")


# --- consumers ---


def _consumer(original: Any) -> Any:
    """Around ``AIOKafkaConsumer.__init__``, which connects to nothing."""

    def init(self: Any, *topics: Any, **kwargs: Any) -> None:
        original(self, *topics, **kwargs)
        if _CLIENT.responder is not None:
            _CLIENT.loop(self).topics.update(topics)

    return init


def _fetcher(original: Any) -> Any:
    """Around ``Fetcher.__init__``, which takes the functions that make keys and values into something else."""

    def init(self: Any, *args: Any, **kwargs: Any) -> None:
        kept = self.__dict__[_KEPT] = Kept()
        for part in ("key", "value"):
            if not _CLIENT.is_off and f"{part}_deserializer" in kwargs:
                kwargs[f"{part}_deserializer"] = kept.watching(kwargs[f"{part}_deserializer"], part)
        original(self, *args, **kwargs)

    return init


def _got(consumer: Any, came: Iterable[Any], *, is_batch: bool) -> None:
    kept: Kept = consumer._fetcher.__dict__.get(_KEPT) or Kept()  # noqa: SLF001 - where we put it
    _CLIENT.loop(consumer).got([records.record(one, kept.take(one)) for one in came], is_batch=is_batch)


def _made(consumer: Any, record: Record) -> Any:
    """Give a recorded message as the app gets it."""
    key, value = record.key, record.body
    if consumer._key_deserializer is not None:  # noqa: SLF001 - the app's own
        key = consumer._key_deserializer(key)  # noqa: SLF001 - as above
    if consumer._value_deserializer is not None:  # noqa: SLF001 - as above
        value = consumer._value_deserializer(value)  # noqa: SLF001 - as above
    return records.made(importlib.import_module("aiokafka.structs").ConsumerRecord, record, key, value)


def _getone(original: Any) -> Any:
    async def getone(self: Any, *partitions: Any) -> Any:
        if _CLIENT.is_off:
            return await original(self, *partitions)
        if _CLIENT.responder is not None:
            taken = await _next(self)
            return _made(self, taken.records[0])
        _CLIENT.guarded("back", _CLIENT.loop(self).comes_back)
        message = await original(self, *partitions)
        _CLIENT.guarded("got", partial(_got, self, [message], is_batch=False))
        return message

    return getone


async def _next(consumer: Any) -> Taken:
    """Wait for the next recorded message.

    Raises:
        EndOfMessages: there is none any more.
    """
    _raise_when_stopped(consumer)
    while (taken := _CLIENT.loop(consumer).next_one()) is None:  # noqa: ASYNC110 - other threads, too, may be at work
        await asyncio.sleep(POLL_SECONDS)
    return taken


def _raise_when_stopped(consumer: Any) -> None:
    if consumer._closed:  # noqa: SLF001 - as the client looks
        raise importlib.import_module("aiokafka.errors").ConsumerStoppedError


def _anext(original: Any) -> Any:
    async def anext_(self: Any) -> Any:
        try:
            return await original(self)
        except EndOfMessages:
            raise StopAsyncIteration from None

    return anext_


def _getmany(original: Any) -> Any:
    async def getmany(self: Any, *partitions: Any, **kwargs: Any) -> Any:
        if _CLIENT.is_off:
            return await original(self, *partitions, **kwargs)
        if _CLIENT.responder is not None:
            return await _next_batch(self, kwargs.get("timeout_ms", 0) / 1000)
        _CLIENT.guarded("back", _CLIENT.loop(self).comes_back)
        found = await original(self, *partitions, **kwargs)
        came = [message for messages in found.values() for message in messages]
        _CLIENT.guarded("got", partial(_got, self, came, is_batch=True))
        return found

    return getmany


async def _next_batch(consumer: Any, seconds: float) -> dict[Any, list[Any]]:
    """Give the next recorded batch.

    Raises:
        EndOfMessages: the app asks again behind the last.
    """
    _raise_when_stopped(consumer)
    loop = _CLIENT.loop(consumer)
    taken = loop.next_or_nothing(is_batch=True)
    if taken is None:
        await asyncio.sleep(min(seconds, POLL_SECONDS) if loop.idles else 0)
        return {}
    found: dict[Any, list[Any]] = {}
    for record in taken.records:
        partition = _forms().makes["TopicPartition"](record.destination, record.properties["partition"])
        found.setdefault(partition, []).append(_made(consumer, record))
    return found


def _consumer_stop(original: Any) -> Any:
    async def stop(self: Any) -> None:
        if not _CLIENT.is_off:
            _CLIENT.guarded("stop", _CLIENT.loop(self).leaves)
            if _CLIENT.responder is not None:
                self._closed = True
                return
        await original(self)

    return stop


def _subscription(original: Any) -> Any:
    def subscription(self: Any) -> Any:
        if _CLIENT.responder is None:
            return original(self)
        return frozenset(_CLIENT.loop(self).topics)

    return subscription


# --- producers ---


def _producer(original: Any) -> Any:
    """Around ``AIOKafkaProducer.__init__``: what a version before 0.13 learns of its broker when it starts."""

    def init(self: Any, *args: Any, **kwargs: Any) -> None:
        original(self, *args, **kwargs)
        if _CLIENT.responder is not None:
            self._producer_magic = _MESSAGE_FORMAT

    return init


def _serialized_by(producer: Any, message: Leaving) -> Record:
    """Have the producer make bytes of key and value, as each version wants to be asked."""
    given = {"topic": message.topic, "key": message.key, "value": message.value, "headers": message.headers or []}
    wanted = inspect.signature(producer._serialize).parameters  # noqa: SLF001 - the client's only way
    return message.record(producer._serialize(**{name: given[name] for name in wanted}))  # noqa: SLF001 - as above


def _send(original: Any) -> Any:
    async def send(  # noqa: PLR0913, PLR0917 - as the client's
        self: Any,
        topic: Any,
        value: Any = None,
        key: Any = None,
        partition: Any = None,
        timestamp_ms: Any = None,
        headers: Any = None,
    ) -> Any:
        if _CLIENT.is_off:
            return await original(self, topic, value, key, partition, timestamp_ms, headers)
        message = Leaving(topic, value, key, headers, partition, timestamp_ms)
        if (responder := _CLIENT.responder) is not None:
            return _future(producing.answered(responder, _serialized_by(self, message), _forms()))
        sending = producing.begin(NAME, topic, _forms())
        with taking() as taken:
            try:
                future = await original(self, topic, value, key, partition, timestamp_ms, headers)
            except BaseException as error:
                known = message.record(taken[-1]) if taken else _CLIENT.guarded("sent", _serialized_by, self, message)
                sending.refused(known, error)
                raise
        sending.sent(message.record(taken[-1]))
        future.add_done_callback(partial(_reported, sending))
        return future

    return send


def _reported(sending: Sending, future: asyncio.Future[Any]) -> None:
    """Take the broker's report; not by ``exception()``: an error that the app never looks at is logged as ever."""
    error = getattr(future, "_exception", None)
    if future.cancelled():
        sending.abandoned()  # by the app: the message is sent all the same
    elif error is not None:
        sending.failed(error, "report")
    else:
        sending.reported(future.result())


def _future(report: Report) -> asyncio.Future[Any]:
    future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
    if report.error is not None:
        future.set_exception(report.error)
    elif report.told is NOTHING:
        future.set_exception(ReplayMiss("no report had come for this message when the recording ended"))
        future.exception()  # nobody needs to look at it
    else:
        future.set_result(report.told)
    return future


def _send_batch(original: Any) -> Any:
    async def send_batch(self: Any, *args: Any, **kwargs: Any) -> Any:
        if (responder := _CLIENT.responder) is not None:
            responder.refuse("AIOKafkaProducer.send_batch is not recorded: send the messages one by one")
        return await original(self, *args, **kwargs)

    return send_batch


def _producer_stop(original: Any) -> Any:
    async def stop(self: Any) -> None:
        if _CLIENT.responder is None:
            await original(self)
        self._closed = True

    return stop


def _flush(original: Any) -> Any:
    async def flush(self: Any) -> None:
        if _CLIENT.responder is None:
            await original(self)

    return flush


def _admin_close(original: Any) -> Any:
    async def close(self: Any) -> None:
        if _CLIENT.responder is None:
            await original(self)
        self._closed = True

    return close


def _wait_on_metadata(original: Any) -> Any:
    """Around the client's, which the instrumentor calls too: in a replay there is nothing to wait for."""

    async def wait(self: Any, topic: Any) -> Any:
        return await original(self, topic) if _CLIENT.responder is None else set()

    return wait


def _enrich_send_span(original: Any) -> Any:
    """Around the instrumentor's, which is called while the span is open: it ends before the message is sent."""

    def enrich(span: Any, **about: Any) -> None:
        original(span, **about)
        if not _CLIENT.is_off:
            producing.hold(span)

    return enrich


def _patches() -> Iterator[Patch]:
    yield Patch(_CONSUMER, "AIOKafkaConsumer.__init__", maker=_consumer)
    yield Patch(_PRODUCER, "AIOKafkaProducer.__init__", maker=_producer)
    yield Patch("aiokafka.consumer.fetcher", "Fetcher.__init__", maker=_fetcher)
    yield Patch("aiokafka.consumer.fetcher", "PartitionRecords._unpack_records", maker=raw.noting)
    yield from _CLIENT.patches(_CONSUMER, "AIOKafkaConsumer", reads=_READS, tells=_TELLS)
    yield from _CLIENT.patches(_PRODUCER, "AIOKafkaProducer", reads=("partitions_for", "start"), tells=_OF_PRODUCERS)
    of_consumers = {
        "__anext__": _anext, "getmany": _getmany, "getone": _getone, "stop": _consumer_stop,
        "subscription": _subscription,
    }  # fmt: skip
    yield from Subscribing(_CLIENT).patches(_CONSUMER, "AIOKafkaConsumer")
    of_producers = {
        "_serialize": serializing, "flush": _flush, "send": _send, "send_batch": _send_batch, "stop": _producer_stop,
    }  # fmt: skip
    for name, maker in of_consumers.items():
        yield Patch(_CONSUMER, f"AIOKafkaConsumer.{name}", maker=maker)
    for name, maker in of_producers.items():
        yield Patch(_PRODUCER, f"AIOKafkaProducer.{name}", maker=maker)
    yield from _CLIENT.patches(_ADMIN, "AIOKafkaAdminClient", reads=("start",))
    yield Patch(_ADMIN, "AIOKafkaAdminClient.close", maker=_admin_close)
    yield from Admin.of(_CLIENT).all_patches(_ADMIN, "AIOKafkaAdminClient")
    yield Patch("aiokafka.client", "AIOKafkaClient._wait_on_metadata", maker=_wait_on_metadata)
    yield Patch(
        "opentelemetry.instrumentation.aiokafka.utils", "_enrich_send_span", maker=_enrich_send_span, required=False
    )


INTEGRATION = Integration(
    name=NAME,
    patches=tuple(_patches()),
    describe=calls.describe,
    answer=calls.answer,
    render=calls.render,
    packages={NAME: NAME},
    instrumentors=(Instrumentor(NAME, NAME),),
    oldest=(NAME, (0, 10)),
    plumbing=("aiokafka.",),
)
"""Its consumers and producers."""
