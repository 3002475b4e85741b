"""Steps of a recording that may fail without the app's knowing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from timetracer_otel import seams
from timetracer_otel.seams import faults

__all__ = ["guarded", "is_off"]


def is_off(plugin: str) -> bool:
    """Whether an integration does nothing.

    Args:
        plugin: its name.
    """
    return seams.active() is None or plugin in seams.switched_off


def guarded(plugin: str, where: str, step: Callable[..., Any], *args: Any) -> Any:
    """Give what a step gives; None when it fails, which is reported.

    Args:
        plugin: the integration's name.
        where: a stable name of the place.
        step: that may fail.
        args: of it.
    """
    try:
        return step(*args)
    except Exception as error:  # noqa: BLE001 - recording never breaks the app
        faults.report(f"{plugin}.{where}", error)
        return None
