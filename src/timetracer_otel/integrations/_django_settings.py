"""Keeps OpenTelemetry's instrumentor of Django waiting until the project's settings are known, in every mode."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from typing import Any, Final

from timetracer_otel.seams import Integration, Patch, faults, patching

__all__ = ["PATCHES", "wait_for_settings"]

_INSTRUMENTOR: Final = "opentelemetry.instrumentation.django"


class _Instrumentation:
    """OpenTelemetry's, put off until a handler loads its middleware.

    It adds a middleware to the settings. Where it does not find them yet (no ``DJANGO_SETTINGS_MODULE``, or a module
    that only ``manage.py`` makes importable) it configures empty ones, and the app's own then cannot be loaded.
    """

    def __init__(self) -> None:
        self._unloaded: Callable[[], object] | None = None
        self._waiting: Callable[[], object] | None = None

    def load_later(self, wrapped: Any, _instance: Any, args: Any, kwargs: Any) -> Any:
        """Stand in for the distribution's ``load_instrumentor``: to load it imports Django, and most programs do not.

        Settings that are imported and not yet configured also keep gevent from patching a process.
        """
        entry_point = args[0] if args else kwargs.get("entry_point")
        if getattr(entry_point, "name", None) != "django":
            return wrapped(*args, **kwargs)
        self._unloaded = partial(wrapped, *args, **kwargs)
        return None

    def put_off(self, wrapped: Any, instance: Any, args: Any, kwargs: Any) -> Any:
        """Stand in for ``DjangoInstrumentor.instrument``."""
        if instance.is_instrumented_by_opentelemetry:
            return wrapped(*args, **kwargs)
        self._waiting = partial(wrapped, *args, **kwargs)
        return None

    def take_back(self, wrapped: Any, instance: Any, args: Any, kwargs: Any) -> Any:
        """Stand in for ``DjangoInstrumentor.uninstrument``."""
        self._waiting = None
        return wrapped(*args, **kwargs) if instance.is_instrumented_by_opentelemetry else None

    def load(self, wrapped: Any, _instance: Any, args: Any, kwargs: Any) -> Any:
        """Stand in for ``BaseHandler.load_middleware``."""
        try:
            self._turn_on()
        except Exception as error:  # noqa: BLE001 - neither a recording nor its absence breaks the app
            faults.report("instrument.django", error)
        return wrapped(*args, **kwargs)

    def _turn_on(self) -> None:
        unloaded, self._unloaded = self._unloaded, None
        if unloaded is not None:
            unloaded()
        waiting, self._waiting = self._waiting, None
        if waiting is not None:
            waiting()


_instrumentation: Final = _Instrumentation()

PATCHES: Final = (
    Patch("django.core.handlers.base", "BaseHandler.load_middleware", _instrumentation.load),
    Patch("opentelemetry.instrumentation.distro", "BaseDistro.load_instrumentor", _instrumentation.load_later),
    Patch(_INSTRUMENTOR, "DjangoInstrumentor.instrument", _instrumentation.put_off),
    Patch(_INSTRUMENTOR, "DjangoInstrumentor.uninstrument", _instrumentation.take_back),
)


def wait_for_settings() -> None:
    """Let a project that names its own settings run in a process that is not recorded, too.

    ``opentelemetry-instrument`` calls it before the instrumentors, and it never raises.
    """
    if "DJANGO_SETTINGS_MODULE" in os.environ:
        return  # OpenTelemetry finds them as well
    try:
        patching.apply(Integration("django", PATCHES))
    except Exception as error:  # noqa: BLE001 - it would abort the instrumentation of everything else
        faults.report("instrument.django", error)
