"""What Kafka's clients ask with and are told, as JSON: partitions, offsets and their collections, and back again."""

from __future__ import annotations

import importlib
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from timetracer_otel.errors import CassetteError

__all__ = ["Forms", "canonical"]


@dataclass(frozen=True)
class Forms:
    """The classes of one client library.

    Attributes:
        makes: by the name of a class: makes an object of it from its fields.
        fields: by the name of a class that is no named tuple: gives the fields of an object.
        struct: the class of the library's messages of Kafka's protocol, which admin clients give; None without them.
        plain_modules: where classes are whose attributes say all.
    """

    makes: Mapping[str, Callable[..., Any]]
    fields: Mapping[str, Callable[[Any], Mapping[str, Any]]] = field(default_factory=dict)
    struct: type | None = None
    plain_modules: str = "\0"

    def plain(self, value: Any) -> Any:
        """Give a value as JSON has it; :func:`canonical` makes equal values equal.

        Args:
            value: of the library's classes, collections of them, texts and numbers.

        Raises:
            TypeError: it is something else.
        """
        if value is None or isinstance(value, str | bool | int | float):
            return value
        if (packed := self._packed(value)) is not None:
            return packed
        fields = self._fields_of(value)
        if fields is not None:
            told = {name: self.plain(one) for name, one in fields.items()}
            return {"type": type(value).__name__, "fields": told}
        if isinstance(value, Mapping):
            return {"entries": [[self.plain(key), self.plain(one)] for key, one in value.items()]}
        if isinstance(value, set | frozenset):
            return {"set": sorted(map(self.plain, value), key=_order), "of": type(value).__name__}
        if isinstance(value, list | tuple):
            return {"items": [self.plain(one) for one in value], "of": type(value).__name__}
        raise TypeError(f"Kafka's clients are not known to use a {type(value).__qualname__}")

    def _packed(self, value: Any) -> Mapping[str, Any] | None:
        if isinstance(value, bytes | bytearray):
            return {"bytes": bytes(value).decode("latin-1")}
        if self.struct is not None and isinstance(value, self.struct):
            return _of_protocol(value)
        return None

    def _fields_of(self, value: Any) -> Mapping[str, Any] | None:
        read = self.fields.get(type(value).__name__)
        if read is not None:
            return read(value)
        names = getattr(type(value), "_fields", None)
        if names is None and type(value).__module__.startswith(self.plain_modules):
            names = vars(value)
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
        if "struct" in told:
            version = {"version": told["version"]} if "version" in told else {}
            return self._struct(told["of"], told["struct"]).decode(told["data"].encode("latin-1"), **version)
        if "type" in told:
            return self.makes[told["type"]](**{name: self.made(one) for name, one in told["fields"].items()})
        if "entries" in told:
            return {self.made(key): self.made(one) for key, one in told["entries"]}
        kind = {"set": set, "frozenset": frozenset, "tuple": tuple}.get(told["of"], list)
        items: Iterable[Any] = told["set"] if "set" in told else told["items"]
        return kind(self.made(one) for one in items)

    def _struct(self, module: str, name: str) -> Any:
        """Give a class of the library's protocol, and no other that a cassette may name."""
        home = "" if self.struct is None else self.struct.__module__.rpartition(".")[0]
        kind = getattr(importlib.import_module(module), name, None) if home and module.startswith(f"{home}.") else None
        if self.struct is None or not (isinstance(kind, type) and issubclass(kind, self.struct)):
            raise CassetteError(f"{module}.{name} is no message of Kafka's protocol in this version of the library")
        return kind


def _of_protocol(struct: Any) -> Mapping[str, Any]:
    """Give a message of the protocol. In kafka-python 3 one class reads all its versions, elsewhere one each."""
    kind, data = type(struct), bytes(struct.encode()).decode("latin-1")
    told = {"struct": kind.__name__, "of": kind.__module__, "data": data}
    return {**told, "version": struct.API_VERSION} if isinstance(getattr(kind, "API_VERSION", 0), property) else told


def canonical(told: Any) -> Any:
    """Give the same for values that are equal: the order of a dictionary means nothing.

    Args:
        told: as :meth:`Forms.plain` gives it.
    """
    if isinstance(told, list):
        return [canonical(one) for one in told]
    if not isinstance(told, dict):
        return told
    found = {name: canonical(one) for name, one in told.items()}
    return found | {"entries": sorted(found["entries"], key=_order)} if "entries" in found else found


def _order(told: Any) -> str:
    return json.dumps(told, sort_keys=True)
