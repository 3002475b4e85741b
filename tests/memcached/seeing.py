"""What a call gives, or how it fails."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

__all__ = ["seen", "seen_later"]


def seen(do: Callable[..., Any], *args: Any, **options: Any) -> Any:
    """What a call gives, or how it fails."""
    try:
        return do(*args, **options)
    except Exception as error:  # noqa: BLE001 - whatever it is, it is what was seen
        return type(error), str(error)


async def seen_later(awaited: Awaitable[Any]) -> Any:
    """What an awaitable gives, or how it fails."""
    try:
        return await awaited
    except Exception as error:  # noqa: BLE001 - whatever it is, it is what was seen
        return type(error), str(error)
