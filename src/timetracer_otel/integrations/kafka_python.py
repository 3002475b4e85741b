"""kafka-python: each message, or batch, that a consumer takes is an entry, each message that a producer sends a call.

The seams are the client's public methods: below them threads of its own fetch and send. In a replay consumers and
producers are made without a connection; they get the recorded messages and reports.
"""

from __future__ import annotations

import copy
import importlib
import importlib.util
import inspect
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache, partial
from typing import Any, Final
from uuid import UUID

from timetracer_otel.errors import ReplayMiss
from timetracer_otel.families.kafka import asking, calls, producing, raw, records
from timetracer_otel.families.kafka.administering import Admin
from timetracer_otel.families.kafka.asking import Asking, Question
from timetracer_otel.families.kafka.leaving import Leaving, serializing, taking
from timetracer_otel.families.kafka.methods import Client
from timetracer_otel.families.kafka.producing import NOTHING, Report
from timetracer_otel.families.kafka.raw import Kept
from timetracer_otel.families.kafka.subscribing import Subscribing
from timetracer_otel.families.kafka.taking import POLL_SECONDS, EndOfMessages
from timetracer_otel.families.kafka.values import Forms
from timetracer_otel.families.kinds.message import Record
from timetracer_otel.seams import Instrumentor, Integration, Patch, Responder

__all__ = ["INTEGRATION", "NAME"]

NAME: Final = "kafka-python"
_CONSUMER: Final = "kafka.consumer.group"
_PRODUCER: Final = "kafka.producer.kafka"
_ADMIN: Final = "kafka.admin.client"
_FETCHER: Final = "kafka.consumer.fetcher"
_KEPT: Final = "_timetracer_kept"
"""Where a fetcher has the bytes of what the app's functions made into something else."""
_SOME_VERSION: Final = (2, 6)
"""Of the broker, that a replayed client says where the app named none."""
_READS: Final = (
    "assignment", "beginning_offsets", "bootstrap", "bootstrap_connected", "committed", "end_offsets", "group_metadata",
    "highwater", "offsets_for_times", "partitions_for_topic", "position", "topics",
)  # fmt: skip
_TELLS: Final = ("commit", "seek", "seek_to_beginning", "seek_to_end")
_OF_PRODUCERS: Final = (
    "abort_transaction", "begin_transaction", "commit_transaction", "init_transactions", "send_offsets_to_transaction",
)  # fmt: skip
_STRUCTS: Final = (
    "BrokerMetadata", "ConsumerGroupMetadata", "GroupInformation", "MemberInformation", "OffsetAndMetadata",
    "OffsetAndTimestamp", "PartitionMetadata", "TopicPartition",
)  # fmt: skip


@cache
def _forms() -> Forms:
    structs = importlib.import_module("kafka.structs")
    made = {name: getattr(structs, name) for name in _STRUCTS if hasattr(structs, name)}
    made |= {"RecordMetadata": importlib.import_module("kafka.producer.future").RecordMetadata, "UUID": UUID}
    return Forms(made, {"UUID": lambda one: {"hex": one.hex}}, _struct(), "kafka.admin.")


def _struct() -> Any:
    """Give the class of the protocol's messages, which the admin client may give."""
    if importlib.util.find_spec("kafka.protocol.api_message") is not None:
        return importlib.import_module("kafka.protocol.api_message").ApiMessage
    return importlib.import_module("kafka.protocol.struct").Struct  # until 2


def _group(instance: Any) -> str:
    return (getattr(instance, "config", None) or {}).get("group_id") or ""


_CLIENT: Final = Client(NAME, _forms, _group)


# --- making clients ---


def _made_without_connection(configure: Any) -> Any:
    """Give what goes around ``__init__`` of a client, which connects: a recorded failure is raised again.

    Args:
        configure: makes the client in a replay.
    """

    def maker(original: Any) -> Any:
        def init(self: Any, *topics: Any, **configs: Any) -> None:
            if _CLIENT.is_off:
                original(self, *topics, **configs)
                return
            question = Question("start", str(configs.get("group_id") or ""), type(self).__name__, reads=True)
            if (responder := _CLIENT.responder) is not None:
                self._closed = True  # for __del__
                asking.answered(responder, question, _forms())
                configure(self, topics, configs)
                return
            with Asking(NAME, question, _forms()) as asked:
                original(self, *topics, **configs)
                asked.told(None)

        return init

    return maker


def _configure(client: Any, configs: dict[str, Any]) -> None:
    unknown = set(configs).difference(client.DEFAULT_CONFIG, getattr(client, "DEPRECATED_CONFIGS", ()))
    if unknown:
        raise importlib.import_module("kafka.errors").KafkaConfigurationError(f"Unrecognized configs: {unknown}")
    client.config = copy.copy(client.DEFAULT_CONFIG) | configs
    client.config["api_version"] = client.config.get("api_version") or _SOME_VERSION
    client._closed = False  # noqa: SLF001 - as its own __init__ does
    client._metrics = None  # noqa: SLF001 - as above


def _configure_consumer(consumer: Any, topics: tuple[Any, ...], configs: dict[str, Any]) -> None:
    _configure(consumer, configs)
    consumer._iterator = None  # noqa: SLF001 - as its own __init__ does
    _CLIENT.loop(consumer).topics.update(topics)


def _configure_producer(producer: Any, _topics: tuple[Any, ...], configs: dict[str, Any]) -> None:
    _configure(producer, configs)
    producer._cleanup = None  # noqa: SLF001 - as above
    wrap = getattr(importlib.import_module("kafka.serializer"), "SerializeWrapper", None)
    for part in ("key_serializer", "value_serializer"):
        function = producer.config[part]
        if wrap is not None and function is not None and not hasattr(function, "serialize"):
            producer.config[part] = wrap(function)


# --- consumers ---


def _fetcher(original: Any) -> Any:
    """Around ``Fetcher.__init__``, which takes the functions that make keys and values into something else."""

    def init(self: Any, *args: Any, **configs: Any) -> None:
        kept = self.__dict__[_KEPT] = Kept()
        for part in ("key", "value"):
            if not _CLIENT.is_off:
                configs[f"{part}_deserializer"] = kept.watching(configs.get(f"{part}_deserializer"), part)
        original(self, *args, **configs)

    return init


@contextmanager
def _inside(consumer: Any) -> Iterator[None]:
    """The client's own use of its public methods is none of the app's."""
    loop = _CLIENT.loop(consumer)
    loop.inside = True
    try:
        yield
    finally:
        loop.inside = False


def _got(consumer: Any, came: list[Any], *, is_batch: bool) -> None:
    kept: Kept = consumer._fetcher.__dict__.get(_KEPT) or Kept()  # noqa: SLF001 - where we put it
    _CLIENT.loop(consumer).got([records.record(one, kept.take(one)) for one in came], is_batch=is_batch)


def _made(consumer: Any, came: Record) -> Any:
    """Give a recorded message as the app gets it."""
    kind = importlib.import_module(_FETCHER).ConsumerRecord
    key = _deserialized(consumer.config["key_deserializer"], came, came.key)
    return records.made(kind, came, key, _deserialized(consumer.config["value_deserializer"], came, came.body))


def _deserialized(function: Any, came: Record, data: bytes | None) -> Any:
    if function is None:
        return data
    method = getattr(function, "deserialize", None)
    if method is None:
        return function(data)
    takes_headers = len(inspect.signature(method).parameters) > 2  # noqa: PLR2004 - topic and data
    return method(came.destination, list(came.headers), data) if takes_headers else method(came.destination, data)


def _next(original: Any) -> Any:
    def next_(self: Any) -> Any:
        loop = _CLIENT.loop(self)
        if _CLIENT.is_off or loop.inside:
            return original(self)
        if _CLIENT.responder is not None:
            return _replayed(self)
        _CLIENT.guarded("back", loop.comes_back)
        with _inside(self):
            message = original(self)
        _CLIENT.guarded("got", partial(_got, self, [message], is_batch=False))
        return message

    return next_


def _replayed(consumer: Any) -> Any:
    """Wait for the next recorded message.

    Raises:
        StopIteration: there is none any more.
    """
    loop = _CLIENT.loop(consumer)
    while not consumer._closed:  # noqa: SLF001 - as the client looks
        try:
            taken = loop.next_one()
        except EndOfMessages:
            break
        if taken is not None:
            return _made(consumer, taken.records[0])
        if consumer.config["consumer_timeout_ms"] >= 0:
            break
        time.sleep(POLL_SECONDS)
    raise StopIteration


def _poll(original: Any) -> Any:
    def poll(self: Any, *args: Any, **kwargs: Any) -> Any:
        loop = _CLIENT.loop(self)
        if _CLIENT.is_off or loop.inside:
            return original(self, *args, **kwargs)
        if _CLIENT.responder is not None:
            return _replayed_batch(self, (args[0] if args else kwargs.get("timeout_ms", 0)) / 1000)
        _CLIENT.guarded("back", loop.comes_back)
        with _inside(self):
            found = original(self, *args, **kwargs)
        came = [message for messages in found.values() for message in messages]
        _CLIENT.guarded("got", partial(_got, self, came, is_batch=True))
        return found

    return poll


def _replayed_batch(consumer: Any, seconds: float) -> dict[Any, list[Any]]:
    """Give the next recorded batch.

    Raises:
        EndOfMessages: the app asks again behind the last.
    """
    if consumer._closed:  # noqa: SLF001 - as the client looks
        raise importlib.import_module("kafka.errors").IllegalStateError("KafkaConsumer is closed")
    loop = _CLIENT.loop(consumer)
    taken = loop.next_or_nothing(is_batch=True)
    if taken is None:
        time.sleep(min(seconds, POLL_SECONDS) if loop.idles else 0)
        return {}
    found: dict[Any, list[Any]] = {}
    for came in taken.records:
        partition = _forms().makes["TopicPartition"](came.destination, came.properties["partition"])
        found.setdefault(partition, []).append(_made(consumer, came))
    return found


def _close_consumer(original: Any) -> Any:
    def close(self: Any, *args: Any, **kwargs: Any) -> None:
        if not _CLIENT.is_off:
            _CLIENT.guarded("close", _CLIENT.loop(self).leaves)
            if _CLIENT.responder is not None:
                self._closed = True
                return
        original(self, *args, **kwargs)

    return close


def _commit_async(original: Any) -> Any:
    """Around ``commit_async``: the commit is recorded, what the app's callback is told is not."""

    def commit_async(self: Any, *args: Any, **kwargs: Any) -> Any:
        if _CLIENT.is_off:
            return original(self, *args, **kwargs)
        futures: list[Any] = []

        def commit(*args: Any, **kwargs: Any) -> None:
            futures.append(original(*args, **kwargs))

        _CLIENT.asked("commit_async", reads=False)(commit)(self, *args, **kwargs)
        return futures[0] if futures else importlib.import_module("kafka.future").Future().success(None)

    return commit_async


def _subscription(original: Any) -> Any:
    def subscription(self: Any) -> Any:
        if _CLIENT.responder is None:
            return original(self)
        return _CLIENT.loop(self).topics.copy() or None

    return subscription


# --- producers ---


def _serialized_by(producer: Any, message: Leaving) -> Record:
    """Have the producer make bytes of key and value, as each version wants to be asked."""
    takes_headers = "headers" in inspect.signature(producer._serialize).parameters  # noqa: SLF001 - the client's
    headers = (message.headers or [],) if takes_headers else ()
    parts = (("key_serializer", message.key), ("value_serializer", message.value))
    return message.record(
        [
            producer._serialize(producer.config[name], message.topic, *headers, data)  # noqa: SLF001 - its only way
            for name, data in parts
        ]
    )


def _send(original: Any) -> Any:
    def send(  # noqa: PLR0913, PLR0917 - as the client's
        self: Any,
        topic: Any,
        value: Any = None,
        key: Any = None,
        headers: Any = None,
        partition: Any = None,
        timestamp_ms: Any = None,
    ) -> Any:
        if _CLIENT.is_off:
            return original(self, topic, value, key, headers, partition, timestamp_ms)
        message = Leaving(topic, value, key, headers, partition, timestamp_ms)
        if (responder := _CLIENT.responder) is not None:
            return _answered(responder, self, message)
        sending = producing.begin(NAME, topic, _forms())
        with taking() as taken:
            try:
                future = original(self, topic, value, key, headers, partition, timestamp_ms)
            except BaseException as error:
                is_known = len(taken) == 2  # noqa: PLR2004 - key and value
                known = message.record(taken) if is_known else _CLIENT.guarded("sent", _serialized_by, self, message)
                sending.refused(known, error)
                raise
        sending.sent(message.record(taken))
        future.add_callback(sending.reported)
        future.add_errback(lambda error: sending.failed(error, "report"))
        return future

    return send


def _answered(responder: Responder, producer: Any, message: Leaving) -> Any:
    errors = importlib.import_module("kafka.errors")
    if producer._closed:  # noqa: SLF001 - as the client looks
        raise errors.IllegalStateError("KafkaProducer already closed!")
    return _future(producing.answered(responder, _serialized_by(producer, message), _forms()), message)


def _future(report: Report, message: Leaving) -> Any:
    """Give a future that has what was reported."""
    futures, base = importlib.import_module("kafka.producer.future"), importlib.import_module("kafka.future").Future
    metadata = None if report.error is not None or report.told is NOTHING else report.told
    partition = message.partition if metadata is None else metadata.partition
    future = futures.FutureRecordMetadata.__new__(futures.FutureRecordMetadata)
    base.__init__(future)
    future._produce_future = futures.FutureProduceResult(  # noqa: SLF001 - where it looks for its partition
        _forms().makes["TopicPartition"](message.topic, partition)
    )
    if report.error is not None:
        return future.failure(report.error)
    if metadata is None:
        return future.failure(ReplayMiss("no report had come for this message when the recording ended"))
    return future.success(metadata)


def _does_nothing(original: Any) -> Any:
    """Around what only waits, or says how the client is: in a replay there is nothing to wait for."""

    def method(self: Any, *args: Any, **kwargs: Any) -> Any:
        return original(self, *args, **kwargs) if _CLIENT.responder is None else None

    return method


def _close_producer(original: Any) -> Any:
    def close(self: Any, *args: Any, is_over: Callable[[], bool] = sys.is_finalizing, **kwargs: Any) -> None:
        # Producers are collected when nothing is left of this module; they have closed when the process began to end.
        if not is_over() and _CLIENT.responder is None:
            original(self, *args, **kwargs)
        self._closed = True

    return close


def _configure_admin(admin: Any, _topics: tuple[Any, ...], configs: dict[str, Any]) -> None:
    _configure(admin, configs)


def _close_admin(original: Any) -> Any:
    def close(self: Any) -> None:
        if _CLIENT.responder is None:
            original(self)
        self._closed = True

    return close


def _patches() -> Iterator[Patch]:
    yield Patch(_CONSUMER, "KafkaConsumer.__init__", maker=_made_without_connection(_configure_consumer))
    yield Patch(_PRODUCER, "KafkaProducer.__init__", maker=_made_without_connection(_configure_producer))
    yield Patch(_ADMIN, "KafkaAdminClient.__init__", maker=_made_without_connection(_configure_admin))
    yield Patch(_ADMIN, "KafkaAdminClient.close", maker=_close_admin)
    yield from Admin.of(_CLIENT).all_patches(_ADMIN, "KafkaAdminClient")
    yield Patch(_FETCHER, "Fetcher.__init__", maker=_fetcher)
    yield Patch(_FETCHER, "Fetcher.PartitionRecords._unpack_records", maker=raw.noting, required=False)
    yield Patch(_FETCHER, "Fetcher._unpack_message_set", maker=raw.noting, required=False)  # until 2.0
    yield from _CLIENT.patches(_CONSUMER, "KafkaConsumer", reads=_READS, tells=_TELLS)
    yield from _CLIENT.patches(
        _PRODUCER, "KafkaProducer", reads=("bootstrap_connected", "partitions_for"), tells=_OF_PRODUCERS
    )
    yield from Subscribing(_CLIENT).patches(_CONSUMER, "KafkaConsumer")
    of_consumers = {
        "__next__": _next, "close": _close_consumer, "commit_async": _commit_async, "metrics": _does_nothing,
        "poll": _poll, "subscription": _subscription,
    }  # fmt: skip
    of_producers = {
        "_serialize": serializing, "close": _close_producer, "flush": _does_nothing, "metrics": _does_nothing,
        "send": _send,
    }  # fmt: skip
    for name, maker in of_consumers.items():
        yield Patch(_CONSUMER, f"KafkaConsumer.{name}", maker=maker)
    for name, maker in of_producers.items():
        yield Patch(_PRODUCER, f"KafkaProducer.{name}", maker=maker)


INTEGRATION = Integration(
    name=NAME,
    patches=tuple(_patches()),
    describe=calls.describe,
    answer=calls.answer,
    render=calls.render,
    packages={"kafka": NAME},
    instrumentors=(Instrumentor("kafka", "kafka"),),
    oldest=(NAME, (2, 0)),
    plumbing=("kafka.",),
)
"""Its consumers and producers."""
