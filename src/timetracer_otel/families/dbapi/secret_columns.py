"""Secrets in what a database tells: text of columns whose names speak of one, as those of parameters do."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from typing import Final

from timetracer_otel import redaction

__all__ = ["hidden", "hidden_raw", "opened_raw", "places"]

_ANY: Final = "x" * 64
"""A value that may be a secret if its name says so."""


@lru_cache(maxsize=4096)
def _speaks(name: str) -> bool:
    return redaction.is_secret_parameter(name, _ANY)


def places(names: Iterable[str]) -> tuple[int, ...]:
    """Give the numbers of the columns that may hold secrets; mostly none.

    Args:
        names: of all columns, in order.
    """
    return tuple(number for number, name in enumerate(names) if _speaks(name))


def hidden(name: str, text: str) -> str:
    """Hide a text of such a column, where there is a key.

    Args:
        name: of the column.
        text: that is in it.
    """
    return redaction.seal(text) if redaction.is_secret_parameter(name, text) else text


def hidden_raw(name: str, raw: bytes | None) -> bytes | None:
    """As :func:`hidden`, of bytes; those that are no text stay as they are.

    Args:
        name: of the column.
        raw: None for NULL.
    """
    if raw is None:
        return None
    try:
        return hidden(name, raw.decode()).encode()
    except UnicodeDecodeError:
        return raw


def opened_raw(raw: bytes | None) -> bytes | None:
    """Put a secret back into a value, where there is a key.

    Args:
        raw: from a recording; None for NULL.
    """
    if raw is None or not redaction.may_be_sealed(raw):
        return raw
    return redaction.told(raw.decode("utf-8", "surrogateescape")).encode("utf-8", "surrogateescape")
