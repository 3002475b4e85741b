"""Limits of the host's SDK that cut recordings: found and named, because the host may want them."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

from timetracer_otel.exporters.host.otlp_sender import ATTRIBUTE

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider

__all__ = ["longest_attribute"]

_log = logging.getLogger("timetracer_otel")

ATTRIBUTES: Final = 64
"""Attributes of an entry with those of its instrumentor, with a margin."""
UNCHUNKED: Final = 16 * 1024
"""Characters that header lists and URLs may have: they are not split."""


def longest_attribute(provider: TracerProvider) -> int | None:
    """Give how many characters an attribute may have, None when that is not limited; say so when it harms.

    Args:
        provider: the host's.
    """
    limits = getattr(provider, "_span_limits", None)
    count, longest = getattr(limits, "max_span_attributes", None), getattr(limits, "max_span_attribute_length", None)
    if count is not None and count < ATTRIBUTES:
        _log.warning(
            "timetracer: spans keep %d attributes only, those of a recording will be missing and cannot be replayed: "
            "set OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT (or OTEL_ATTRIBUTE_COUNT_LIMIT) to %d or more",
            count,
            ATTRIBUTES,
        )
    if longest is not None and longest < ATTRIBUTE:
        harm = "headers and URLs that are longer are cut" if longest < UNCHUNKED else "more spans are sent"
        _log.warning(
            "timetracer: attributes are cut at %d characters. Payloads are sent in pieces of that size, but %s: "
            "unset OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT and OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT",
            longest,
            harm,
        )
    return longest
