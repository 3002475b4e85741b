"""Words of a protocol whose commands are lists of bytes: as they are compared, and as people see them."""

from __future__ import annotations

import json
from typing import Any, Final

from timetracer_otel import redaction
from timetracer_otel.seams import values as kinds
from timetracer_otel.seams.values import Blanker

__all__ = ["blanked", "plain", "typed"]

_LONGEST_BINARY: Final = 64 * 1024
_LONGEST_SHOWN: Final = 400


def blanked(word: bytes, blanker: Blanker) -> bytes:
    """Give a word with the values in it replaced by their form.

    Args:
        word: text or binary.
        blanker: keeps the values.
    """
    try:
        return blanker.text(word.decode()).encode()
    except UnicodeDecodeError:
        if (found := kinds.of_bytes(word)) is not None:
            blanker.values.append(found)
            return b"\0bytes %d" % len(word)
    # A pickle: the ids and times in it are text.
    return word if len(word) > _LONGEST_BINARY else blanker.text(word.decode("latin-1")).encode("latin-1", "replace")


def typed(word: bytes) -> str:
    """Show a word as a person types it, quoted where it must be.

    Args:
        word: text or binary.
    """
    text = plain(word)
    if not isinstance(text, str):
        return str(text)
    text = redaction.placeholders(text)
    return json.dumps(text, ensure_ascii=False) if not text or any(one in text for one in " \"'\r\n\t") else text


def plain(value: Any) -> Any:
    """Show a value: bytes as text, or as what they are; the rest as it is.

    Args:
        value: of lists, dictionaries, numbers, bytes.
    """
    if isinstance(value, dict):
        return {name: plain(item) for name, item in value.items()}
    if isinstance(value, list):
        return [plain(item) for item in value]
    if not isinstance(value, bytes):
        return value
    try:
        return value.decode()
    except UnicodeDecodeError:
        return f"<{len(value)} bytes: {value[:_LONGEST_SHOWN].hex()}{'…' if len(value) > _LONGEST_SHOWN else ''}>"
