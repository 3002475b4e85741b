"""confluent-kafka: what a consumer takes is an entry, each message that a producer sends a call.

Its clients are of C, and fetch and send in threads of librdkafka. So subclasses take their names when the module is
imported. In a replay the clients know no broker's address: they get the recorded messages and reports.
"""

from __future__ import annotations

import importlib
import re
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any, Final, NamedTuple

from timetracer_otel.families.kafka import calls, producing
from timetracer_otel.families.kafka.methods import Client
from timetracer_otel.families.kafka.producing import NOTHING, Report, Sending
from timetracer_otel.families.kafka.taking import POLL_SECONDS, Taken
from timetracer_otel.families.kinds.message import Record
from timetracer_otel.integrations._confluent_classes import MODULE, forms, made
from timetracer_otel.seams import Instrumentor, Integration, Patch

__all__ = ["INTEGRATION", "NAME"]

NAME: Final = "confluent-kafka"
_GROUP: Final = "_timetracer_group"
_ADDRESSES: Final = ("bootstrap.servers", "metadata.broker.list")
_READS: Final = (
    "assignment", "cluster_id", "committed", "consumer_group_metadata", "get_watermark_offsets", "list_topics",
    "memberid", "offsets_for_times", "position",
)  # fmt: skip
_TELLS: Final = ("commit", "seek", "store_offsets")
_OF_PRODUCERS: Final = (
    "abort_transaction", "begin_transaction", "commit_transaction", "init_transactions", "send_offsets_to_transaction",
)  # fmt: skip
_ENDS: Final = ("abort_transaction", "commit_transaction")
_PARAMETERS: Final = ("topic", "value", "key", "partition", "callback", "on_delivery", "timestamp", "headers")
"""Of ``Producer.produce``, in order."""
_CLIENT: Final = Client(NAME, forms, lambda instance: instance.__dict__.get(_GROUP, ""))


# --- consumers ---


def _record(came: Any) -> Record:
    """Give a message as it is recorded, or an event that comes as one: the end of a partition, an error."""
    error = came.error()
    properties = {
        "partition": came.partition() if came.partition() is not None else -1,
        "offset": came.offset(),
        "timestamp": list(came.timestamp()),
        "leader_epoch": came.leader_epoch() if hasattr(came, "leader_epoch") else None,
    }
    if error is not None:
        properties["error"] = [error.code(), error.str(), error.fatal(), error.retriable()]
    value = came.value() if error is None else None  # of an error, its words
    return Record(came.topic() or "", _bytes(value), _bytes(came.key()), list(came.headers() or ()), properties)


def _bytes(value: Any) -> bytes | None:
    return value.encode() if isinstance(value, str) else None if value is None else bytes(value)


def _message(came: Record) -> Any:
    """Give a recorded message as the app gets it."""
    told = came.properties
    error = importlib.import_module(MODULE).KafkaError(*told["error"]) if "error" in told else None
    return made(
        topic=came.destination or None,
        partition=told["partition"] if told["partition"] >= 0 else None,
        offset=told["offset"],
        key=came.key,
        value=came.body if error is None else told["error"][1].encode(),
        headers=list(came.headers) or None,
        error=error,
        timestamp=tuple(told["timestamp"]),
        latency=None,
        leader_epoch=told["leader_epoch"],
    )


def _configured(args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """Give what a client is made with, however it is given."""
    given = args[0] if args else kwargs.get("conf", {})
    return {**given, **{name: one for name, one in kwargs.items() if name != "conf"}}


def _without_addresses(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Leave out where the brokers are: in a replay nothing is connected to. Nor is that worth a warning."""
    return {name: one for name, one in settings.items() if name not in _ADDRESSES} | {"log_level": 0}


def _consumer(base: Any) -> type:  # noqa: C901 - a class of short methods
    """Give the class that stands for ``Consumer``."""

    class Consumer(base):  # type: ignore[misc] # of C
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            settings = _configured(args, kwargs)
            self.__dict__[_GROUP] = str(settings.get("group.id") or "")
            if _CLIENT.responder is None:
                super().__init__(*args, **kwargs)
            else:
                super().__init__(_without_addresses(settings))

        def poll(self, *args: Any, **kwargs: Any) -> Any:
            if _CLIENT.is_off:
                return super().poll(*args, **kwargs)
            if _CLIENT.responder is not None:
                taken = _taken(self, _timeout(args, kwargs, 0), is_batch=False)
                return None if taken is None else _message(taken.records[0])
            _CLIENT.guarded("back", _CLIENT.loop(self).comes_back)
            message = super().poll(*args, **kwargs)
            _CLIENT.guarded("got", partial(_got, self, [] if message is None else [message], is_batch=False))
            return message

        def consume(self, *args: Any, **kwargs: Any) -> Any:
            if _CLIENT.is_off:
                return super().consume(*args, **kwargs)
            if _CLIENT.responder is not None:
                taken = _taken(self, _timeout(args, kwargs, 1), is_batch=True)
                return [] if taken is None else [_message(one) for one in taken.records]
            _CLIENT.guarded("back", _CLIENT.loop(self).comes_back)
            messages = super().consume(*args, **kwargs)
            _CLIENT.guarded("got", partial(_got, self, messages, is_batch=True))
            return messages

        def close(self) -> None:
            if not _CLIENT.is_off:
                _CLIENT.guarded("close", _CLIENT.loop(self).leaves)
            super().close()

        def __exit__(self, *_: object) -> None:
            self.close()

        def subscribe(self, topics: Any, *args: Any, **kwargs: Any) -> None:
            if _CLIENT.responder is None:
                super().subscribe(topics, *args, **kwargs)
                return
            loop = _CLIENT.loop(self)
            loop.topics = {one for one in topics if not one.startswith("^")}
            patterns = [one for one in topics if one.startswith("^")]
            loop.pattern = re.compile("|".join(patterns)) if patterns else None

        def unsubscribe(self) -> None:
            if _CLIENT.responder is None:
                super().unsubscribe()
            else:
                _CLIENT.loop(self).subscribes_to_nothing()

        def assign(self, partitions: Any) -> None:
            if _CLIENT.responder is None:
                super().assign(partitions)
            else:
                _CLIENT.loop(self).partitions = _pairs(partitions)

        def incremental_assign(self, partitions: Any) -> None:
            if _CLIENT.responder is None:
                super().incremental_assign(partitions)
            else:
                _CLIENT.loop(self).partitions |= _pairs(partitions)

        def incremental_unassign(self, partitions: Any) -> None:
            if _CLIENT.responder is None:
                super().incremental_unassign(partitions)
            else:
                _CLIENT.loop(self).partitions -= _pairs(partitions)

        def unassign(self) -> None:
            if _CLIENT.responder is None:
                super().unassign()
            else:
                _CLIENT.loop(self).partitions = set()

        def pause(self, partitions: Any) -> None:
            if _CLIENT.responder is None:
                super().pause(partitions)
            else:
                _CLIENT.loop(self).paused |= _pairs(partitions)

        def resume(self, partitions: Any) -> None:
            if _CLIENT.responder is None:
                super().resume(partitions)
            else:
                _CLIENT.loop(self).paused -= _pairs(partitions)

    return _completed(Consumer, base, reads=_READS, tells=_TELLS)


def _completed(kind: Any, base: Any, *, reads: Iterable[str], tells: Iterable[str]) -> type:
    """Give a class the methods by which a client asks and tells, and the name of the one that it stands for."""
    for names, only_asks in ((reads, True), (tells, False)):
        for name in names:
            if hasattr(base, name):
                setattr(kind, name, _CLIENT.asked(name, reads=only_asks)(getattr(base, name)))
    kind.__module__, kind.__doc__ = base.__module__, base.__doc__
    made: type = kind
    return made


def _pairs(partitions: Iterable[Any]) -> set[tuple[str, int]]:
    return {(one.topic, one.partition) for one in partitions}


def _timeout(args: tuple[Any, ...], kwargs: Mapping[str, Any], place: int) -> float:
    """How long the app would wait; for ever where it says nothing or a negative number."""
    seconds = args[place] if len(args) > place else kwargs.get("timeout", -1)
    return float("inf") if seconds is None or seconds < 0 else float(seconds)


def _got(consumer: Any, came: list[Any], *, is_batch: bool) -> None:
    _CLIENT.loop(consumer).got([_record(one) for one in came], is_batch=is_batch)


def _taken(consumer: Any, seconds: float, *, is_batch: bool) -> Taken | None:
    """Give what was recorded next; None where the app would get nothing within its time.

    Raises:
        EndOfMessages: the app asks again behind the last.
    """
    loop = _CLIENT.loop(consumer)
    until = time.monotonic() + seconds
    while True:
        taken = loop.next_or_nothing(is_batch=is_batch)
        if taken is not None or (seconds < float("inf") and not loop.idles) or time.monotonic() >= until:
            return taken
        time.sleep(min(seconds, POLL_SECONDS))


# --- producers ---


class _Sent(NamedTuple):
    """A message that waits, in a replay, to be reported; without a recorded report it waits for ever."""

    record: Record
    report: Report
    callback: Callable[..., Any] | None

    @property
    def is_due(self) -> bool:
        """Whether its report came before any flush ran out of time."""
        return self.report.told is not NOTHING and not self.report.outlived

    def flushed(self) -> _Sent:
        """The same behind a flush that ran out of time."""
        left = max(0, self.report.outlived - 1)
        return self._replace(report=replace(self.report, outlived=left))


def _producer(base: Any) -> type:  # noqa: C901 - a class of short methods
    """Give the class that stands for ``Producer``."""

    class Producer(base):  # type: ignore[misc] # of C
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            settings = _configured(args, kwargs)
            self.__dict__["_timetracer_default"] = settings.get("on_delivery")
            self.__dict__["_timetracer_sent"] = deque[_Sent]()
            self.__dict__["_timetracer_ran_out"] = 0
            if _CLIENT.responder is None:
                super().__init__(*args, **kwargs)
            else:
                super().__init__(_without_addresses(settings))

        def produce(self, *args: Any, **kwargs: Any) -> None:
            if _CLIENT.is_off:
                super().produce(*args, **kwargs)
                return
            given = dict(zip(_PARAMETERS, args, strict=False)) | kwargs
            callback = given.pop("callback", None) or given.pop("on_delivery", None)
            callback = callback or self.__dict__["_timetracer_default"]
            given.pop("on_delivery", None)
            if (responder := _CLIENT.responder) is not None:
                sent = _sent(**given)
                waits = _Sent(sent, producing.answered(responder, sent, forms()), callback)
                if callback is not None or not waits.is_due:
                    self.__dict__["_timetracer_sent"].append(waits)
                return
            _send(super().produce, given, callback, lambda: self.__dict__["_timetracer_ran_out"])

        def poll(self, *args: Any, **kwargs: Any) -> Any:
            if _CLIENT.responder is None:
                return super().poll(*args, **kwargs)
            return _report_all(self.__dict__["_timetracer_sent"])

        def flush(self, *args: Any, **kwargs: Any) -> Any:
            sent = self.__dict__["_timetracer_sent"]
            if _CLIENT.responder is None:
                left = super().flush(*args, **kwargs)
                self.__dict__["_timetracer_ran_out"] += bool(left)
                return left
            _report_all(sent)
            sent.extend([sent.popleft().flushed() for _ in range(len(sent))])
            return len(sent)

        def __len__(self) -> int:
            length: int = super().__len__() if _CLIENT.responder is None else len(self.__dict__["_timetracer_sent"])
            return length

        def __bool__(self) -> bool:
            return True  # as one of C says, whatever its length

        def produce_batch(self, *args: Any, **kwargs: Any) -> Any:
            if (responder := _CLIENT.responder) is not None:
                responder.refuse("Producer.produce_batch is not recorded: produce the messages one by one")
            return super().produce_batch(*args, **kwargs)

    if not hasattr(base, "produce_batch"):
        del Producer.produce_batch
    completed = _completed(Producer, base, reads=("cluster_id", "list_topics"), tells=_OF_PRODUCERS)
    for name in _ENDS:
        setattr(completed, name, _reporting(getattr(completed, name)))
    return completed


def _reporting(asked: Callable[..., Any]) -> Callable[..., Any]:
    """Around what ends a transaction, before which the library reports every message of it, as a flush does."""

    def end(self: Any, *args: Any, **kwargs: Any) -> Any:
        if _CLIENT.responder is not None:
            _report_all(self.__dict__["_timetracer_sent"])
        return asked(self, *args, **kwargs)

    return end


def _sent(topic: str, **given: Any) -> Record:
    partition = given.get("partition")
    return producing.record(
        topic,
        _bytes(given.get("value")),
        _bytes(given.get("key")),
        given.get("headers"),
        None if partition is None or partition < 0 else partition,
        given.get("timestamp") or None,
    )


def _send(
    produce: Callable[..., None],
    given: dict[str, Any],
    callback: Callable[..., Any] | None,
    ran_out: Callable[[], int],
) -> None:
    """Send a message, and record it with the broker's report, and how many flushes ran out of time before that."""
    sending, before = producing.begin(NAME, str(given.get("topic")), forms()), ran_out()
    try:
        produce(**given, on_delivery=lambda *told: _delivered(sending, callback, ran_out() - before, *told))
    except BaseException as error:
        sending.refused(_CLIENT.guarded("sent", partial(_sent, **given)), error)
        raise
    _CLIENT.guarded("sent", lambda: sending.sent(_sent(**given)))


def _delivered(sending: Sending, callback: Callable[..., Any] | None, outlived: int, error: Any, message: Any) -> None:
    """Take the broker's report, which comes while the app polls or flushes; then the app has it."""
    _CLIENT.guarded("reported", lambda: sending.reported(_report_of(error, message), outlived))
    if callback is not None:
        callback(error, message)


def _report_of(error: Any, message: Any) -> dict[str, Any]:
    told = {name: getattr(message, name)() for name in ("partition", "offset", "timestamp", "latency", "leader_epoch")}
    return {**told, "error": error}


def _report_all(sent: deque[_Sent]) -> int:
    """Give the app the reports that are due; how many there were."""
    count = 0
    for one in [one for one in sent if one.is_due]:
        sent.remove(one)
        count += 1
        if one.callback is not None:
            record, told = one.record, dict(one.report.told)
            message = made(topic=record.destination, key=record.key, value=record.body, headers=None, **told)
            one.callback(told["error"], message)
    return count


def _unrecorded(base: Any) -> type:
    """Give the class that stands for a client that is not recorded: in a replay it would connect, unseen from here."""

    class Unrecorded(base):  # type: ignore[misc] # of C
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            if (responder := _CLIENT.responder) is not None:
                responder.refuse(f"{type(self).__name__} of confluent-kafka is not recorded")
            super().__init__(*args, **kwargs)

    return _completed(Unrecorded, base, reads=(), tells=())


INTEGRATION = Integration(
    name=NAME,
    patches=(
        Patch(MODULE, "Consumer", maker=_consumer, everywhere=True),
        Patch(MODULE, "Producer", maker=_producer, everywhere=True),
        Patch(MODULE, "ShareConsumer", maker=_unrecorded, everywhere=True, required=False),
        Patch(MODULE, "_AdminClientImpl", maker=_unrecorded, everywhere=True),
    ),
    describe=calls.describe,
    answer=calls.answer,
    render=calls.render,
    packages={"confluent_kafka": NAME},
    instrumentors=(Instrumentor("confluent_kafka", "confluent_kafka"),),
    oldest=(NAME, (2, 3)),
    plumbing=("confluent_kafka.",),
)
"""Its consumers and producers."""
