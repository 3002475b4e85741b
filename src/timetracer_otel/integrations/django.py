"""Django: each request that reaches a WSGI or an ASGI handler, or the router of Channels, is an entry."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

from timetracer_otel import seams
from timetracer_otel.families.entry import apps
from timetracer_otel.families.entry.asgi import asgi_call
from timetracer_otel.families.entry.wsgi import wsgi_call
from timetracer_otel.seams import Instrumentor, Integration, Patch, faults
from timetracer_otel.seams.door import install, set_up
from timetracer_otel.seams.handlers import watched

__all__ = ["INTEGRATION", "TimeTracerMiddleware", "auto_setup"]

_Handler = TypeVar("_Handler", bound=Callable[..., Any])
_HANDLERS = "django.core.handlers.base"
_INSTRUMENTOR = "opentelemetry.instrumentation.django"


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
        if seams.active() is not None:
            try:
                self._turn_on()
            except Exception as error:  # noqa: BLE001 - recording never breaks the app
                faults.report("instrument.django", error)
        return wrapped(*args, **kwargs)

    def _turn_on(self) -> None:
        unloaded, self._unloaded = self._unloaded, None
        if unloaded is not None:
            unloaded()
        waiting, self._waiting = self._waiting, None
        if waiting is not None:
            waiting()


def _watched_view(wrapped: Any, _instance: object, args: Any, kwargs: Any) -> Any:
    """Go around ``BaseHandler.make_view_atomic``, which every view passes; a class leads on to one of its methods."""
    view, *others = args
    return wrapped(watched(view, getattr(view, "view_class", None)), *others, **kwargs)


_instrumentation = _Instrumentation()

INTEGRATION = Integration(
    "django",
    (
        Patch("django.core.handlers.wsgi", "WSGIHandler.__call__", wsgi_call),
        Patch("django.core.handlers.asgi", "ASGIHandler.__call__", asgi_call),
        Patch("channels.routing", "ProtocolTypeRouter.__call__", asgi_call),
        Patch(_HANDLERS, "BaseHandler.load_middleware", _instrumentation.load),
        Patch("opentelemetry.instrumentation.distro", "BaseDistro.load_instrumentor", _instrumentation.load_later),
        Patch(_INSTRUMENTOR, "DjangoInstrumentor.instrument", _instrumentation.put_off),
        Patch(_INSTRUMENTOR, "DjangoInstrumentor.uninstrument", _instrumentation.take_back),
    ),
    handlers=(Patch("django.core.handlers.base", "BaseHandler.make_view_atomic", _watched_view),),
    packages={"django": "django", "channels": "channels", **apps.SERVERS},
    instrumentors=(Instrumentor("django", _HANDLERS),),
    oldest=("django", (4, 2)),
)


def auto_setup(app: _Handler | None = None, **settings: Any) -> _Handler | None:
    """Record or replay a Django project; called where its application is made, or in its settings.

    Args:
        app: what ``get_wsgi_application()`` or ``get_asgi_application()`` gave, if that is at hand.
        settings: fields of :class:`timetracer_otel.config.Settings`; they win over environment variables.

    Returns:
        The same app.

    Raises:
        ConfigError: a setting is wrong, or another mode is in force already.
    """
    set_up(**settings)
    return app


def TimeTracerMiddleware(get_response: _Handler, config: object = None) -> _Handler:  # noqa: N802 - timetracer 1.x's name
    """Record or replay the project whose ``MIDDLEWARE`` names it: this sets up, the handlers' seams do the rest.

    Args:
        get_response: what comes next, plain or async.
        config: the settings; those of the environment when None.

    Raises:
        ConfigError: a setting is wrong, or another mode is in force already.
    """
    install(config)
    return get_response


TimeTracerMiddleware.sync_capable = True  # type: ignore[attr-defined] # how Django learns what a middleware can do
TimeTracerMiddleware.async_capable = True  # type: ignore[attr-defined] # as above
