"""Web frameworks, declared: each app gets OpenTelemetry's instrumentation by itself when it is made or set up in code.

``FlaskInstrumentor().instrument()`` and its like replace the framework's class by a subclass, for what is imported
later. An app of the original class is then no ``flask.Flask`` any more, and ``flask run`` does not find it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol, TypeVar

from timetracer_otel.seams import Instrumentor, Integration, Patch, faults
from timetracer_otel.seams.door import set_up
from timetracer_otel.seams.integration import Wrapper

__all__ = ["AutoSetup", "auto_setup", "entry"]

_App = TypeVar("_App")
_IS_INSTRUMENTED = "_is_instrumented_by_opentelemetry"  # what all of OpenTelemetry's instrumentors set on an app


class AutoSetup(Protocol):
    """A framework's ``auto_setup``."""

    def __call__(self, app: _App, **settings: Any) -> _App:
        """Record or replay an app, and give it OpenTelemetry's instrumentation when it has none.

        Args:
            app: made, and not yet serving.
            settings: fields of :class:`timetracer_otel.config.Settings`; they win over environment variables.

        Returns:
            The same app. In mode off it is as it was.

        Raises:
            ConfigError: a setting is wrong, or another mode is in force already.
        """
        ...


def entry(
    name: str,
    patch: Patch,
    instrumentor: str | None = None,
    *,
    packages: Mapping[str, str] | None = None,
    handlers: tuple[Patch, ...] = (),
) -> Integration:
    """Declare a web framework.

    Args:
        name: of the integration.
        patch: where a server calls an app: ``Class.__call__`` with the wrapper of WSGI or ASGI.
        instrumentor: the entry point of OpenTelemetry's, which knows ``instrument_app(app)``; ``name`` when None.
        packages: as :class:`Integration` has them; the package of that name when None.
        handlers: as :class:`Integration` has them.
    """
    made = Instrumentor(instrumentor or name, patch.module.partition(".")[0], in_code=False)
    init = Patch(patch.module, f"{patch.name.rpartition('.')[0]}.__init__", _instrumenting(made))
    return Integration(
        name,
        (patch,),
        apps=(init,),
        handlers=handlers,
        packages={name: name} if packages is None else packages,
        instrumentors=(made,),
    )


def auto_setup(integration: Integration) -> AutoSetup:
    """Give the ``auto_setup`` of a framework.

    Args:
        integration: that :func:`entry` made.
    """

    def set_app_up(app: _App, **settings: Any) -> _App:
        if set_up(**settings):
            for instrumentor in integration.instrumentors:
                _instrument(app, instrumentor.load())
        return app

    set_app_up.__name__ = set_app_up.__qualname__ = "auto_setup"
    set_app_up.__doc__ = AutoSetup.__call__.__doc__
    return set_app_up


def _instrumenting(instrumentor: Instrumentor) -> Wrapper:
    """Give what goes around the framework's ``__init__``: the app is instrumented when it is made."""

    def init(wrapped: Any, instance: Any, args: Any, kwargs: Any) -> None:
        wrapped(*args, **kwargs)
        try:
            kind = instrumentor.load()
            if kind is not None and not kind().is_instrumented_by_opentelemetry:  # else the app's class does it
                _instrument(instance, kind)
        except Exception as error:  # noqa: BLE001 - recording never breaks the app
            faults.report(f"instrument.{type(instance).__name__}", error)

    return init


def _instrument(app: Any, kind: Any) -> None:
    if kind is not None and not getattr(app, _IS_INSTRUMENTED, False):
        kind.instrument_app(app)
