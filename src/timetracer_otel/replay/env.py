"""The environment of a replayed program: how it learns what to follow and where to keep its journal."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final, TypeAlias

from timetracer_otel.cassette.shelf import Catalog
from timetracer_otel.replay import variables
from timetracer_otel.seams import children

__all__ = ["Environment", "environment"]

_OF_A_PARENT: Final = frozenset({children.PARENT, children.CHILD})
"""A recorded process tells its children by these; the replayed program is nobody's child."""

Environment: TypeAlias = Callable[[Catalog, Path], dict[str, str]]
"""Gives the environment from what the program is to follow and the folder for its journals."""


def environment(  # noqa: PLR0913 - each is a word of the command line
    base: Mapping[str, str],
    live: Sequence[str],
    mock: Sequence[str],
    *,
    detailed: bool,
    accepting: bool = False,
    traced: Path | None = None,
) -> Environment:
    """Give what makes the environment of a replayed program, which its children inherit.

    Args:
        base: the environment to start from.
        live: integrations that go out.
        mock: when not empty, the only integrations that are answered.
        detailed: whether the journals say what ``--verify`` compares.
        accepting: whether they say what ``--accept`` writes.
        traced: folder for the replay's own trace.
    """

    def make(found: Catalog, folder: Path) -> dict[str, str]:
        file = folder / "catalog.json"
        found.write(file)
        ours = {
            "TIMETRACER_MODE": "replay",
            "OTEL_TRACES_EXPORTER": "none",
            "OTEL_METRICS_EXPORTER": "none",
            "OTEL_LOGS_EXPORTER": "none",
            variables.JOURNAL: str(folder),
            variables.CATALOG: str(file),
        }
        options = {
            "TIMETRACER_LIVE_PLUGINS": ",".join(live),
            "TIMETRACER_MOCK_PLUGINS": ",".join(mock),
            variables.DETAIL: "1" if detailed else "",
            variables.ACCEPT: "1" if accepting else "",
            variables.TRACE: str(traced.absolute()) if traced is not None else "",
        }
        options["PYTHONHASHSEED"] = found.hash_seed()
        return {
            **{name: value for name, value in base.items() if name not in _OF_A_PARENT},
            **ours,
            **{name: value for name, value in options.items() if value},
        }

    return make
