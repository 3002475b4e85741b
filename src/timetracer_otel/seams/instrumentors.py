"""The standard instrumentors of OpenTelemetry, and whatever else installed distributions declare by entry points."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from functools import lru_cache
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

__all__ = ["Instrumentor", "declared"]


def declared(group: str) -> tuple[EntryPoint, ...]:
    """Give the entry points of a group that are installed.

    Args:
        group: such as ``opentelemetry_instrumentor``.
    """
    return _declared(group, tuple(sys.path))


@lru_cache(maxsize=16)
def _declared(group: str, _path: tuple[str, ...]) -> tuple[EntryPoint, ...]:
    """Read the files of every distribution once for each search path."""
    return tuple(entry_points(group=group))


@dataclass(frozen=True, slots=True)
class Instrumentor:
    """A standard instrumentor of OpenTelemetry, by its entry point of ``opentelemetry_instrumentor``.

    Args:
        name: of the entry point, as ``OTEL_PYTHON_DISABLED_INSTRUMENTATIONS`` has it.
        library: the module whose import it is loaded at.
        costly: whether it slows the library down even when nobody gets its spans: a replay then goes without it.
        module: of its package that its spans are named by, where that is not the package.
        in_code: whether ``install()`` turns it on too; not where each app is instrumented by itself.
    """

    name: str
    library: str
    costly: bool = False
    module: str = ""
    in_code: bool = True

    @property
    def scope(self) -> str:
        """The instrumentation scope of its spans."""
        package = f"opentelemetry.instrumentation.{self.name.replace('-', '_')}"
        return f"{package}.{self.module}" if self.module else package

    def entry_point(self) -> EntryPoint | None:
        """The entry point; None when the instrumentor is not installed."""
        return next((found for found in declared("opentelemetry_instrumentor") if found.name == self.name), None)

    def load(self) -> Any:
        """Give its class, which may import the library; None when it is not installed."""
        found = self.entry_point()
        return None if found is None else found.load()
