"""What kinds of entries have in common that run to an end of their own: a value or an exception comes of them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Self

from timetracer_otel import spans
from timetracer_otel.seams import exceptions

__all__ = ["Outcome", "Payload", "compared_error", "outcome_in", "plain", "shown"]

_UNKNOWN_CLASS: Final = "object at 0x"
_dumps: Final = json.JSONEncoder(sort_keys=True).encode  # dumps() makes an encoder each time


@dataclass(slots=True)
class Payload:
    """Bytes that an entry brought.

    Attributes:
        payload: the attribute that they go into.
        body: their pieces.
    """

    payload: str
    body: list[bytes] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Outcome:
    """How an execution ended.

    Attributes:
        state: such as ``SUCCESS``, ``FAILURE``, ``RETRY``, ``REJECTED``, ``IGNORED``.
        value: what it returned; of a retry, when it is to be tried again.
        error: what it raised, or why it is tried again.
        traceback: of that, for people.
    """

    state: str
    value: object = None
    error: BaseException | None = None
    traceback: str = ""

    @classmethod
    def succeeded(cls, value: object) -> Self:
        """The outcome of a function that returned.

        Args:
            value: as it is now; it may be changed later.
        """
        return cls("SUCCESS", plain(value))

    @classmethod
    def failed(cls, error: BaseException) -> Self:
        """The outcome of a function that raised.

        Args:
            error: of any class.
        """
        return cls("FAILURE", error=error)

    @property
    def encoded(self) -> bytes:
        """As a verification compares it."""
        told: dict[str, object] = {"state": self.state, "value": plain(self.value)}
        if self.error is not None:
            told["error"] = compared_error(self.error)
        return _dumps(told).encode()


def compared_error(error: BaseException) -> dict[str, object]:
    """Give what a verification compares of an exception.

    Args:
        error: of any class.
    """
    described = json.loads(exceptions.encoded(error))
    return {name: described.get(name) for name in ("type", "args", "text")}


def outcome_in(attributes: Mapping[str, object], name: str) -> Any:
    """Give a recorded outcome, JSON-like; None where the end was not seen.

    Args:
        attributes: of the entry.
        name: that of the outcome.

    Raises:
        CassetteError: it was cut or damaged.
    """
    encoded = spans.decode_payload(attributes, name)
    return None if encoded is None else json.loads(encoded)


def plain(value: object) -> object:
    """Give a value as JSON holds it; what JSON does not know, by what it says of itself.

    Args:
        value: an argument or a result.
    """
    if value is None or isinstance(value, str | bool | int | float):
        return value
    if isinstance(value, Mapping):
        return {str(key): plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [plain(one) for one in value]
    told = repr(value)
    return type(value).__qualname__ if _UNKNOWN_CLASS in told else told


def shown(arguments: object) -> str:
    """Give arguments as they are recorded, and found by.

    Args:
        arguments: as :func:`plain` gives them.
    """
    return _dumps(arguments)
