"""Whether a file of any name holds OTLP traces, told by how it begins: a directory holds other files too."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from timetracer_otel.cassette import files
from timetracer_otel.cassette.decoding import Malformed
from timetracer_otel.cassette.framing import Framing, framing_of, read_messages
from timetracer_otel.errors import CassetteError

__all__ = ["holds_traces", "is_foreign", "is_version_1"]

_HEAD: Final = 4096
_TRACES: Final = re.compile(rb'\s*\{\s*"resource_?[sS]pans"')
_OTHER_OBJECT: Final = re.compile(rb'\s*(\{\s*("(?!resource_?[sS]pans")|\})|\[)')


def holds_traces(path: Path) -> bool:
    """Whether a file begins as OTLP traces do, as JSON or as protobuf.

    Args:
        path: any file.
    """
    head = _head(path)
    framing = framing_of(head[:64])
    if framing is Framing.LINES:
        return _TRACES.match(head) is not None
    return bool(head) and _begins_with_spans(path)


def is_foreign(path: Path) -> bool:
    """Whether a file that is named as a cassette is empty, or holds JSON of something else.

    A damaged cassette is not foreign: it must be reported, not passed over.

    Args:
        path: the file.
    """
    head = _head(path)
    return not head or (framing_of(head[:64]) is Framing.LINES and _OTHER_OBJECT.match(head) is not None)


def is_version_1(path: Path) -> bool:
    """Whether a file looks like a cassette of timetracer 1.x.

    Args:
        path: any file.
    """
    head = _head(path)
    return head.lstrip()[:1] == b"{" and b'"schema_version"' in head and b'"timetracer_version"' in head


def _head(path: Path) -> bytes:
    try:
        with files.opened(path) as stream:
            return stream.read(_HEAD)
    except CassetteError:
        return b"?"  # not to be read, or damaged: neither traces nor known to be something else


def _begins_with_spans(path: Path) -> bool:
    """Whether the first message may be traces: metrics and logs in protobuf begin with the same bytes."""
    from timetracer_otel.cassette import protobuf  # noqa: PLC0415 - 40 ms, and most directories hold JSON only

    try:
        message = next(read_messages(path), None)
        if message is not None and not message.is_json:
            protobuf.document(message.data)
    except CassetteError:
        return True  # cut: that is reported, not passed over
    except Malformed:
        return message is None or protobuf.other_signal(message.data) is None
    return True
