"""Instrumentors that a replay does without: nobody gets their spans, and they cost more than the answers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from timetracer_otel.replay import variables

__all__ = ["switched_off"]

_VARIABLE: Final = "OTEL_PYTHON_DISABLED_INSTRUMENTATIONS"
_NAMES: Final = ("pymongo",)  # its listener alone makes the driver copy every command and reply


def switched_off(environ: Mapping[str, str]) -> dict[str, str]:
    """Give the setting that leaves them out, with what the user leaves out; nothing where spans are exported or traced.

    Args:
        environ: of the replayed program.
    """
    if variables.TRACE in environ or environ.get("OTEL_TRACES_EXPORTER", "none").strip() not in ("", "none"):
        return {}
    given = [name.strip() for name in environ.get(_VARIABLE, "").split(",") if name.strip()]
    return {_VARIABLE: ",".join(dict.fromkeys((*given, *_NAMES)))}
