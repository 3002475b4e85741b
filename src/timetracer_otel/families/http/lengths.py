"""A ``Content-Length`` that is no number, as an instrumentor of OpenTelemetry reads it.

Those of urllib and urllib3 (0.66b1) measure a response by ``int(headers.get("Content-Length", 0))``: where a peer says
``2, 2`` or nothing, which the client itself forgives, the app got a ValueError of theirs.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from timetracer_otel.seams import Patch

__all__ = ["forgiving"]


def forgiving(instrumentor: str) -> Patch:
    """Give what lets an instrumentor take such a length for none.

    Args:
        instrumentor: its module.
    """
    return Patch(instrumentor, "int", maker=_number, required=False)


def _number(wrapped: Callable[..., int]) -> Callable[..., int]:
    def number(*value: Any) -> int:
        try:
            return wrapped(*value)
        except ValueError:
            return 0

    return number
