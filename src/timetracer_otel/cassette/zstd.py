"""The library for zstd, which is 24 MB that only those need who read or write it."""

from __future__ import annotations

from types import ModuleType

from timetracer_otel.config import Compression
from timetracer_otel.errors import CassetteError

__all__ = ["check", "library"]


def library() -> ModuleType:
    """Import it.

    Raises:
        CassetteError: it is not installed.
    """
    try:
        import zstandard  # noqa: PLC0415 - 10 ms, and not everybody has it
    except ImportError as error:
        message = "zstd needs a library that is not installed: pip install 'timetracer-otel[zstd]'"
        raise CassetteError(message) from error
    return zstandard


def check(compression: Compression) -> None:
    """Refuse to compress by what is not installed.

    Args:
        compression: none, gzip or zstd.

    Raises:
        CassetteError: zstd is wanted, and its library is not installed.
    """
    if compression == "zstd":
        library()
