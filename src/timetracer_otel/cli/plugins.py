"""Which libraries are recorded and replayed here: ours, and those that other packages bring."""

from __future__ import annotations

from collections.abc import Iterable
from importlib import metadata
from typing import Any

from rich.table import Table

from timetracer_otel.cli.output import console, one_line
from timetracer_otel.seams import Integration

__all__ = ["describe", "print_table"]


def describe(integrations: Iterable[Integration]) -> list[dict[str, Any]]:
    """Give each integration as JSON-like data.

    Args:
        integrations: all that are known.
    """
    return [
        {
            "name": one.name,
            "aliases": list(one.aliases),
            "installed": _versions(one),
            "instrumentors": [each.name for each in one.instrumentors if each.entry_point() is not None],
        }
        for one in sorted(integrations, key=lambda one: one.name)
    ]


def _versions(integration: Integration) -> dict[str, str]:
    found = {}
    for distribution in dict.fromkeys(filter(None, integration.packages.values())):
        try:
            found[distribution] = metadata.version(distribution)
        except metadata.PackageNotFoundError:
            continue
    return found


def print_table(described: Iterable[dict[str, Any]]) -> None:
    """Print a table for people.

    Args:
        described: as :func:`describe` gives it.
    """
    table = Table(box=None, header_style="bold")
    for title in ("name", "also", "installed", "OpenTelemetry"):
        table.add_column(title, overflow="fold", no_wrap=title == "name")
    for one in described:
        versions = ", ".join(f"{name} {version}" for name, version in one["installed"].items())
        cells = (one["name"], ", ".join(one["aliases"]), versions, ", ".join(one["instrumentors"]))
        table.add_row(*map(one_line, cells))
    console().print(table)
