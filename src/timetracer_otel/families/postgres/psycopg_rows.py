"""The rows of a result of psycopg's builds in C, framed by functions of its own: five times as fast as by value."""

from __future__ import annotations

import struct
from typing import Any, Final

from timetracer_otel.families.postgres import results

__all__ = ["prepare"]

_BYTEA: Final = 17
_BINARY: Final = 1
_BEGINS: Final = b"D\0\0\0\0"
_put_length: Final = struct.Struct("!i").pack_into


class _Raw:
    """What psycopg adapts by, for a reader that gets each value as its bytes, whatever the app has registered."""

    connection = None

    def __init__(self) -> None:
        from psycopg.adapt import AdaptersMap  # noqa: PLC0415 - the driver is there
        from psycopg.postgres import types  # noqa: PLC0415 - as above
        from psycopg.types.string import ByteaBinaryLoader, BytesBinaryDumper  # noqa: PLC0415 - as above

        self.adapters = AdaptersMap(types=types)
        self.adapters.register_loader(_BYTEA, ByteaBinaryLoader)
        self.adapters.register_dumper(bytes, BytesBinaryDumper)


def prepare(result: type) -> None:
    """Have the rows of results framed in C, where the driver is one of those builds.

    Args:
        result: the type of the driver's results.
    """
    try:
        from psycopg import _copy_base  # noqa: PLC0415 - the driver is there
        from psycopg._cmodule import _psycopg  # noqa: PLC0415 - as above

        write, transformer, raw = _copy_base.format_row_binary, _psycopg.Transformer, _Raw()
    except (ImportError, AttributeError):  # the build in Python, or a version that has them under other names
        return

    def framed(found: Any) -> bytes:
        reader = transformer(raw)
        reader.set_pgresult(found, set_loaders=False)
        reader.set_loader_types([_BYTEA] * found.nfields, _BINARY)
        rows, at = bytearray(), 0
        for row in reader.load_rows(0, found.ntuples, tuple):
            rows += _BEGINS
            write(row, reader, rows)
            _put_length(rows, at + 1, len(rows) - at - 1)
            at = len(rows)
        return bytes(rows)

    results.framing[result] = framed
