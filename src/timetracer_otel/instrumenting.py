"""OpenTelemetry's standard instrumentors are loaded when the program imports their libraries, and not before.

To load one is to import its library. A program uses few of those that are installed, and would pay for the rest at each
start: 0.8 s of CPU and 110 MB where all that we integrate with are there.
"""

from __future__ import annotations

import gc
import importlib.util
import logging
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from importlib.metadata import EntryPoint
from types import ModuleType
from typing import Any, TypeAlias

from timetracer_otel import seams
from timetracer_otel.seams import Instrumentor, Integration, Patch, faults, imports, patching
from timetracer_otel.seams.instrumentors import declared

__all__ = [
    "THREADS",
    "Uninstrument",
    "instrument_on_import",
    "instrumentors",
    "leave_out_costly",
    "left_to_no_collection",
    "put_off",
]

_log = logging.getLogger("timetracer_otel")

THREADS = Instrumentor("threading", "threading")
"""Carries the context, and so the lane, into threads: no library's own."""

Uninstrument: TypeAlias = Callable[[], object]
"""Puts back what an instrumentor has patched."""


class _TurnOn:
    """Turns an instrumentor on once, when a module that it needs has been imported.

    Args:
        found: the instrumentor.
        turn_on: what to do.
    """

    def __init__(self, found: EntryPoint, turn_on: Callable[[], object]) -> None:
        self._found = found
        self._turn_on: Callable[[], object] | None = turn_on

    def wait_for(self, library: str) -> None:
        """Do it when the library is imported, now if it is.

        Args:
            library: the module.
        """
        # Also when the instrumentor's own module is: it may be that import which imports the library.
        for module in (library, self._found.module):
            imports.after_import(module, self)

    def __call__(self, _imported: ModuleType) -> None:
        """Do it once, and not while the instrumentor's module is half imported: once whole, it calls again."""
        module = sys.modules.get(self._found.module)
        if module is not None and not hasattr(module, self._found.attr.partition(".")[0]):
            return
        turn_on, self._turn_on = self._turn_on, None
        if turn_on is None:
            return
        try:
            turn_on()
        except ImportError as error:  # as OpenTelemetry: without it the library has no spans of an instrumentor's
            _log.debug("timetracer: the instrumentor %s is left out: %s", self._found.name, error)
        except Exception as error:  # noqa: BLE001 - the app's own import must not fail
            faults.report(f"instrument.{self._found.name}", error)


def put_off() -> None:
    """Let OpenTelemetry's launcher load each instrumentor of ours when its library is imported.

    Others are loaded at once, as without us.
    """
    libraries = {one.name: one.library for one in _known()}

    def load(wrapped: Any, _instance: Any, args: Any, kwargs: Any) -> Any:
        found = args[0] if args else kwargs["entry_point"]
        if library := libraries.get(found.name):
            return _TurnOn(found, partial(wrapped, *args, **kwargs)).wait_for(library)
        with left_to_no_collection():
            return wrapped(*args, **kwargs)

    patch = Patch("opentelemetry.instrumentation.distro", "BaseDistro.load_instrumentor", load)
    patching.apply(Integration("opentelemetry", (patch,)))


@contextmanager
def left_to_no_collection() -> Iterator[None]:
    """Let what is made before the program starts be looked at by no collection of garbage: it lives as long as that.

    A replay holds millions of objects, which every full collection of the program would go through.
    """
    collects = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        if collects:
            gc.enable()


def instrumentors() -> list[Instrumentor]:
    """Those that ``install()`` turns on by itself, when their libraries are imported.

    Those of web frameworks replace the class of apps, which modules may have imported already: see
    :attr:`Integration.apps`.
    """
    return [one for one in _known() if one.in_code]


def _known() -> Iterable[Instrumentor]:
    return [THREADS, *(one for integration in seams.integrations.values() for one in integration.instrumentors)]


def instrument_on_import(undo: Callable[[Uninstrument], object], is_installed: Callable[[], bool]) -> None:
    """Turn on what ``install()`` does.

    Args:
        undo: told of each that was turned on.
        is_installed: whether what asked for it is in force still.
    """
    installed = {found.name: found for found in declared("opentelemetry_instrumentor")}
    for instrumentor in instrumentors():
        found = installed.get(instrumentor.name)
        if found is None or importlib.util.find_spec(instrumentor.library) is None:
            continue  # the instrumentors of extras need not be installed: then the spans are ours
        _TurnOn(found, partial(_instrument, found, undo, is_installed)).wait_for(instrumentor.library)


def _instrument(found: EntryPoint, undo: Callable[[Uninstrument], object], is_installed: Callable[[], bool]) -> None:
    if not is_installed():
        return
    instrumentor = found.load()()
    if not instrumentor.is_instrumented_by_opentelemetry:
        instrumentor.instrument(skip_dep_check=True)
        undo(partial(_uninstrument, instrumentor))


def _uninstrument(instrumentor: Any) -> None:
    if instrumentor.is_instrumented_by_opentelemetry:  # else it was put off, and its time never came
        instrumentor.uninstrument()


def leave_out_costly() -> None:
    """Let a replay whose spans nobody gets go without the instrumentors that cost more than its answers."""
    from timetracer_otel.seams import tracing  # noqa: PLC0415 - a process in mode off does not pay for the SDK

    provider = tracing.host_provider()

    def unless_unheard(wrapped: Any, _instance: Any, args: Any, kwargs: Any) -> Any:
        return None if tracing.is_unheard(provider) else wrapped(*args, **kwargs)

    for integration in seams.integrations.values():
        for one in integration.instrumentors:
            if one.costly and (found := one.entry_point()) is not None:
                patch = Patch(found.module, f"{found.attr}._instrument", unless_unheard)
                patching.apply(replace(integration, patches=(patch,)))
