"""The classes of confluent-kafka: what is recorded of their objects, and how such ones are made again."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from functools import cache, partial
from types import SimpleNamespace
from typing import Any, Final

from timetracer_otel.families.kafka.values import Forms

__all__ = ["MODULE", "forms", "made"]

MODULE: Final = "confluent_kafka.cimpl"
"""Where the library has its classes."""
_METADATA: Final = ("BrokerMetadata", "ClusterMetadata", "PartitionMetadata", "TopicMetadata")
_OF_PARTITIONS: Final = ("topic", "partition", "offset", "metadata", "leader_epoch")


@cache
def forms() -> Forms:
    library = importlib.import_module(MODULE)
    admin = importlib.import_module("confluent_kafka.admin")
    plain_classes = {name: getattr(admin, name) for name in _METADATA if hasattr(admin, name)}
    makes: dict[str, Callable[..., Any]] = {
        "TopicPartition": _partition,
        "KafkaError": lambda code, reason, *, fatal, retriable: library.KafkaError(code, reason, fatal, retriable),
        "Message": SimpleNamespace,
        **{name: partial(_filled, kind) for name, kind in plain_classes.items()},
    }
    fields: dict[str, Callable[[Any], Mapping[str, Any]]] = {
        "TopicPartition": lambda one: {name: getattr(one, name, None) for name in (*_OF_PARTITIONS, "error")},
        "KafkaError": lambda one: {
            "code": one.code(), "reason": one.str(), "fatal": one.fatal(), "retriable": one.retriable(),
        },
        "Message": lambda one: {"topic": one.topic(), "partition": one.partition(), "offset": one.offset()},
        **dict.fromkeys(plain_classes, vars),
    }  # fmt: skip
    return Forms(makes, fields)


def _partition(error: Any = None, **fields: Any) -> Any:
    """Make a partition; what the broker said against it is its to say only."""
    made = importlib.import_module(MODULE).TopicPartition
    given = {name: one for name, one in fields.items() if one is not None}
    return made(**given) if error is None else _Refused(made(**given), error)


class _Refused:
    """A partition with an error, which only the library itself can give to one of its own.

    Args:
        partition: as the library has it.
        error: of it.
    """

    def __init__(self, partition: Any, error: Any) -> None:
        self._partition = partition
        self.error = error

    def __getattr__(self, name: str) -> Any:
        return getattr(self._partition, name)


def _filled(kind: Any, **fields: Any) -> Any:
    made = kind.__new__(kind)
    vars(made).update(fields)
    return made


class Message:
    """A message as the app asks for it, where the library's version makes none for others.

    Args:
        told: what it says, by the names of its methods.
    """

    def __init__(self, **told: Any) -> None:
        self._told = told

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_") or name not in self._told:
            raise AttributeError(name)
        return lambda: self._told[name]

    def __len__(self) -> int:
        return len(self._told["value"] or b"")

    def set_headers(self, value: Any) -> None:
        """Exchange the headers."""
        self._told["headers"] = value

    def set_key(self, value: Any) -> None:
        """Exchange the key."""
        self._told["key"] = value

    def set_value(self, value: Any) -> None:
        """Exchange the value."""
        self._told["value"] = value


def made(**told: Any) -> Any:
    try:
        return importlib.import_module(MODULE).Message(**{name: one for name, one in told.items() if one is not None})
    except TypeError:  # before 2.12
        return Message(**told)
