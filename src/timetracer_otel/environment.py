"""Defaults that ``opentelemetry-instrument`` takes over before it starts the program (an environment-variables module).

opentelemetry-distro sends metrics and logs by OTLP unless told otherwise. Somebody who only asked for cassettes has no
collector: the exporters would fail at start-up, or hold the program's end for seconds. So with timetracer as the only
traces exporter and no OTLP end point configured, metrics and logs default to none. In a replay all three do: what it
does happened before.

The order of a set of strings is another one in each process, unless PYTHONHASHSEED says which. So a program that is
recorded is given one, picked at random, where none is set: as random as before, but known, and set again in the replay.

No name here begins with ``OTEL_``: the command would take it for an option of its own.
"""

from __future__ import annotations

import os
import secrets
import sys
from collections.abc import Mapping, MutableMapping, Sequence
from importlib.metadata import entry_points

from timetracer_otel import config
from timetracer_otel.errors import ConfigError

__all__ = ["set_defaults"]

_TRACES = "OTEL_TRACES_EXPORTER"
_SIGNALS = {
    "--traces_exporter": _TRACES,
    "--metrics_exporter": "OTEL_METRICS_EXPORTER",
    "--logs_exporter": "OTEL_LOGS_EXPORTER",
}
"""The variable that each option of the command stands for."""
_SEEDS = 2**32
"""How many PYTHONHASHSEED has; 0 stands for no randomness."""


def set_defaults(environ: MutableMapping[str, str], argv: Sequence[str]) -> None:
    """Default metrics and logs to none, when cassettes are all that was asked for; in a replay, traces as well.

    Likewise what would go by OTLP where its exporter is not installed: OpenTelemetry would set nothing up at all.

    Args:
        environ: the environment, changed in place.
        argv: the command line of ``opentelemetry-instrument``, whose option wins over the environment.
    """
    if environ.get("TIMETRACER_MODE", "").strip().lower() == "replay":
        for name in _SIGNALS.values():
            environ.setdefault(name, "none")
        return
    exporters = _option(argv, "--traces_exporter") or environ.get(_TRACES, "")
    if environ.get("PYTHONHASHSEED", "random") in {"", "random"} and _is_recorded(environ, exporters):
        environ["PYTHONHASHSEED"] = str(1 + secrets.randbelow(_SEEDS - 1))
    if exporters.strip() == "timetracer" and not any(name.startswith("OTEL_EXPORTER_OTLP_") for name in environ):
        for name in ("OTEL_METRICS_EXPORTER", "OTEL_LOGS_EXPORTER"):
            environ.setdefault(name, "none")
    if not _has_otlp():
        _do_without_otlp(environ, argv)


def _has_otlp() -> bool:
    return any(one.name.startswith("otlp") for one in entry_points(group="opentelemetry_traces_exporter"))


def _do_without_otlp(environ: MutableMapping[str, str], argv: Sequence[str]) -> None:
    """Leave out what OpenTelemetry's distro would send by OTLP unasked, and say what was asked for in vain."""
    cure = "its exporter is not installed: pip install 'timetracer-otel[otlp]'"
    for option, name in _SIGNALS.items():
        wanted = _option(argv, option) or environ.get(name, "")
        if "otlp" in wanted:
            sys.stderr.write(f"timetracer: {name} is {wanted}, and {cure}; nothing is set up without\n")
        elif not wanted:
            environ[name] = "none"
            if name == _TRACES and not environ.get("TIMETRACER_MODE"):
                sys.stderr.write(
                    "timetracer: nothing is recorded: add --traces_exporter timetracer. Spans do not leave by OTLP: "
                    f"{cure}\n"
                )


def _is_recorded(environ: Mapping[str, str], exporters: str) -> bool:
    try:
        settings = config.load({**environ, "OTEL_TRACES_EXPORTER": exporters})
    except ConfigError:
        return False  # the program will say it
    return settings.mode == "record" and settings.nondeterminism != "none"


def _option(argv: Sequence[str], name: str) -> str | None:
    for position, argument in enumerate(argv[1:], start=1):
        if argument == name and position + 1 < len(argv):
            return argv[position + 1]
        if argument.startswith(name + "="):
            return argument.partition("=")[2]
        if not argument.startswith("-") and not argv[position - 1].startswith("--"):
            break  # the program's own arguments begin
    return None


set_defaults(os.environ, sys.argv)
