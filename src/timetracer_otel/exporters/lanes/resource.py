"""Describes the process that records, as resource attributes."""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Mapping
from dataclasses import fields
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

from timetracer_otel import redaction, seams, spans
from timetracer_otel.cassette import otlp
from timetracer_otel.config import Settings
from timetracer_otel.seams.command_line import of_this_process

__all__ = ["ProcessDescription", "describe_process", "program_name"]

_COMMAND = "process.command_args"
_COMMAND_CHARACTERS = 500
"""How many characters of the command line every lane has; the session has all of it."""
_IDENTITY = (
    spans.SCHEMA, spans.SESSION_ID, spans.SESSION_PARENT_ID, spans.SESSION_PLACE, spans.HASH_SEED,
)  # fmt: skip


class ProcessDescription:
    """The resource of the lines that a process writes, encoded.

    Args:
        host: attributes of the host's resource.
        own: what :func:`describe_process` says, and of the session.
    """

    def __init__(self, host: Mapping[str, Any], own: Mapping[str, spans.Attribute]) -> None:
        whole = {**host, **own}
        self.session = otlp.resource_fragment(whole)
        """Attributes for a session's line that says what its file does not say yet."""
        self.lane = otlp.resource_fragment({**whole, _COMMAND: _shortened(whole[_COMMAND])})
        """Attributes for a lane's line."""
        self.brief = otlp.resource_fragment({**host, **{name: own[name] for name in _IDENTITY if name in own}})
        """Attributes for a session's other lines: there may be thousands, so they are short."""


def _shortened(command: Any) -> list[str]:
    """A command line that ends with an ellipsis where it is long: of a test suite it names all files."""
    left = _COMMAND_CHARACTERS
    for number, word in enumerate(command):
        left -= len(word)
        if left < 0:
            return [*command[:number], spans.AND_SO_ON]
    return list(command)


def describe_process(settings: Settings) -> dict[str, spans.Attribute]:
    """Attributes that say which program, versions and settings made a recording."""
    attributes: dict[str, spans.Attribute] = {
        spans.SCHEMA: spans.SCHEMA_VERSION,
        "timetracer.version": _version("timetracer-otel") or "unknown",
        "process.runtime.name": sys.implementation.name,
        "process.runtime.version": platform.python_version(),
        _COMMAND: redaction.arguments(of_this_process()),
        "timetracer.settings": _settings(settings),
    }
    if sys.flags.hash_randomization and (seed := os.environ.get("PYTHONHASHSEED", "")).isdecimal():
        attributes[spans.HASH_SEED] = seed
    for integration in seams.integrations.values():
        for package, distribution in integration.packages.items():
            if distribution and package in sys.modules and (version := _version(distribution)):
                attributes[f"timetracer.library.{distribution}"] = version
    return attributes


_UNTOLD = frozenset({"dir", "cassette"})
"""Settings that say where files are; a URL can have a password in it."""


def _settings(settings: Settings) -> list[str]:
    values: Mapping[str, object] = {field.name: getattr(settings, field.name) for field in fields(settings)}
    # The trigger's value may be a secret.
    values = {**values, "rules": ";".join(map(str, settings.rules)), "trigger_header": settings.trigger_header[:1]}
    defaults = {**{field.name: field.default for field in fields(settings)}, "rules": ""}
    return [f"{name}={value}" for name, value in values.items() if name not in _UNTOLD and value != defaults[name]]


@cache  # reading it takes about a millisecond, and every import of the app asks again
def _version(library: str) -> str | None:
    try:
        return metadata.version(library)
    except metadata.PackageNotFoundError:
        return None


def program_name() -> str:
    """A short name of the running program: of the script, or of the module after ``-m``."""
    argv = of_this_process()
    if "-m" in argv[1:-1]:
        return argv[argv.index("-m") + 1].rpartition(".")[2]
    return Path(sys.argv[0]).stem if sys.argv and sys.argv[0] not in ("", "-c") else "python"
