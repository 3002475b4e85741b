"""What Kafka's clients ask with and are told, as JSON: partitions, offsets and their collections, and back again."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

__all__ = ["Forms"]


@dataclass(frozen=True)
class Forms:
    """The classes of one client library.

    Attributes:
        makes: by the name of a class: makes an object of it from its fields.
        fields: by the name of a class that is no named tuple: gives the fields of an object.
    """

    makes: Mapping[str, Callable[..., Any]]
    fields: Mapping[str, Callable[[Any], Mapping[str, Any]]] = field(default_factory=dict)

    def plain(self, value: Any) -> Any:
        """Give a value as JSON has it, equal for equal values.

        Args:
            value: of the library's classes, collections of them, texts and numbers.

        Raises:
            TypeError: it is something else.
        """
        if value is None or isinstance(value, str | bool | int | float):
            return value
        if isinstance(value, bytes | bytearray):
            return {"bytes": bytes(value).decode("latin-1")}
        fields = self._fields_of(value)
        if fields is not None:
            told = {name: self.plain(one) for name, one in fields.items()}
            return {"type": type(value).__name__, "fields": told}
        if isinstance(value, Mapping):
            return {"entries": sorted(([self.plain(key), self.plain(one)] for key, one in value.items()), key=_order)}
        if isinstance(value, set | frozenset):
            return {"set": sorted(map(self.plain, value), key=_order), "of": type(value).__name__}
        if isinstance(value, list | tuple):
            return {"items": [self.plain(one) for one in value], "of": type(value).__name__}
        raise TypeError(f"Kafka's clients are not known to use a {type(value).__qualname__}")

    def _fields_of(self, value: Any) -> Mapping[str, Any] | None:
        read = self.fields.get(type(value).__name__)
        if read is not None:
            return read(value)
        names = getattr(type(value), "_fields", None)
        return None if names is None else {name: getattr(value, name) for name in names}

    def made(self, told: Any) -> Any:
        """Make a value again.

        Args:
            told: as :meth:`plain` gives it.
        """
        if not isinstance(told, dict):
            return told
        if "bytes" in told:
            return told["bytes"].encode("latin-1")
        if "type" in told:
            return self.makes[told["type"]](**{name: self.made(one) for name, one in told["fields"].items()})
        if "entries" in told:
            return {self.made(key): self.made(one) for key, one in told["entries"]}
        kind = {"set": set, "frozenset": frozenset, "tuple": tuple}.get(told["of"], list)
        items: Iterable[Any] = told["set"] if "set" in told else told["items"]
        return kind(self.made(one) for one in items)


def _order(told: Any) -> str:
    return json.dumps(told, sort_keys=True)
