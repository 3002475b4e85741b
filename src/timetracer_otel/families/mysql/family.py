"""What the drivers of MySQL have in common, declared."""

from __future__ import annotations

from typing import Any

from timetracer_otel.families.mysql import matching, rendering, told
from timetracer_otel.seams import Integration, Patch

__all__ = ["declared"]


def declared(name: str, patches: tuple[Patch, ...], **facts: Any) -> Integration:
    """Declare a driver.

    Args:
        name: of the integration.
        patches: its seams.
        facts: what else an :class:`Integration` says of its library.
    """
    return Integration(
        name=name,
        patches=patches,
        describe=matching.describe_recorded,
        reply_values=told.reply_values,
        answer=told.answer,
        render=rendering.render,
        volatile=rendering.VOLATILE,
        **facts,
    )
