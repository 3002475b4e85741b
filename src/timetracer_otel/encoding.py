"""JSON, written by orjson; where memory is limited by the standard library.

orjson writes into a buffer that it enlarges, and ends the process by SIGSEGV when it gets no more memory (seen with
3.13). The standard library raises MemoryError, which costs a recording and not the app. Memory runs out like that only
where the address space has a limit: without one the kernel promises more than there is.
"""

from __future__ import annotations

import json
import resource
from collections.abc import Callable
from typing import Any, Final

import orjson

__all__ = ["dumps", "look"]

_LIMITS: Final = tuple(getattr(resource, name) for name in ("RLIMIT_AS", "RLIMIT_DATA"))
_limited = False


def look() -> int | None:
    """Look for a limit, which an app can set at any time: with every lane and line, since asking takes a microsecond.

    Returns:
        The bytes of address space that this process may have; None when there is no limit.
    """
    global _limited  # noqa: PLW0603 - of the process
    found = [soft for soft, _ in map(resource.getrlimit, _LIMITS) if soft != resource.RLIM_INFINITY]
    _limited = bool(found)
    return min(found, default=None)


def dumps(document: Any, option: int = 0, default: Callable[[Any], Any] | None = None) -> bytes:
    """Encode JSON.

    Args:
        document: dicts with strings as keys, lists, and what goes into them.
        option: of orjson; ``OPT_APPEND_NEWLINE`` and ``OPT_SORT_KEYS`` are known here.
        default: gives what stands for a value that JSON does not have.

    Raises:
        TypeError: it cannot be encoded, or not in UTF-8.
        MemoryError: there is too little memory.
    """
    if not _limited:
        return orjson.dumps(document, default=default, option=option)
    try:
        text = json.dumps(
            document,
            default=default,
            ensure_ascii=False,
            separators=(",", ":"),
            sort_keys=bool(option & orjson.OPT_SORT_KEYS),
        )
        return (text + "\n" if option & orjson.OPT_APPEND_NEWLINE else text).encode("utf-8")
    except UnicodeEncodeError as error:
        raise TypeError(str(error)) from error
