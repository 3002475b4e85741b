"""Web apps made or set up in code: each gets OpenTelemetry's instrumentation by itself.

``FlaskInstrumentor().instrument()`` and its like replace the framework's class by a subclass, for what is imported
later. An app of the original class is then no ``flask.Flask`` any more, and ``flask run`` does not find it.
"""

from __future__ import annotations

import importlib
from typing import Any, TypeVar

from timetracer_otel.seams import faults
from timetracer_otel.seams.door import set_up
from timetracer_otel.seams.integration import Wrapper

__all__ = ["auto_setup", "instrumenting"]

_App = TypeVar("_App")
_IS_INSTRUMENTED = "_is_instrumented_by_opentelemetry"  # what all of OpenTelemetry's instrumentors set on an app


def auto_setup(app: _App, instrumentor: str, settings: dict[str, Any]) -> _App:
    """Record or replay an app, and give it OpenTelemetry's instrumentation when it has none.

    Args:
        app: made, and not yet serving.
        instrumentor: module and class of OpenTelemetry's, with a colon between them.
        settings: fields of :class:`timetracer_otel.config.Settings`.

    Returns:
        The same app. In mode off it is as it was.

    Raises:
        ConfigError: a setting is wrong, or another mode is in force already.
    """
    if set_up(**settings):
        _instrument(app, instrumentor)
    return app


def instrumenting(instrumentor: str) -> Wrapper:
    """Give what goes around the framework's ``__init__``: the app is instrumented when it is made.

    Args:
        instrumentor: as for :func:`auto_setup`.
    """

    def init(wrapped: Any, instance: Any, args: Any, kwargs: Any) -> None:
        wrapped(*args, **kwargs)
        try:
            if not _class_of(instrumentor)().is_instrumented_by_opentelemetry:  # else the app's class does it
                _instrument(instance, instrumentor)
        except Exception as error:  # noqa: BLE001 - recording never breaks the app
            faults.report(f"instrument.{type(instance).__name__}", error)

    return init


def _instrument(app: Any, instrumentor: str) -> None:
    if not getattr(app, _IS_INSTRUMENTED, False):
        _class_of(instrumentor).instrument_app(app)


def _class_of(instrumentor: str) -> Any:
    module, _, name = instrumentor.partition(":")
    return getattr(importlib.import_module(module), name)  # only now: it imports the framework
