"""Where servers take the app that they serve: whatever framework made it, or none, its requests are entries there.

That is outside of all middleware: the entry is what reached the server and what left it. A framework's own seam inside
finds the lane that is open already; it is for servers that no Python code calls (uWSGI, mod_wsgi) and for test clients.
"""

from __future__ import annotations

from typing import Any

import wrapt

from timetracer_otel import seams
from timetracer_otel.seams import faults
from timetracer_otel.seams.integration import Wrapper

__all__ = ["given_first", "kept_as"]


def kept_as(attribute: str, entry: Wrapper, plugin: str, *, but: str = "\0") -> Wrapper:
    """Give what goes around a method of a server that leaves the app in one of the server's attributes.

    Args:
        attribute: its name.
        entry: what goes around the app's calls, of WSGI or ASGI.
        plugin: the integration's name.
        but: start of the name of a module whose apps are left as they are.
    """

    def take(wrapped: Any, instance: Any, args: Any, kwargs: Any) -> Any:
        result = wrapped(*args, **kwargs)
        app = getattr(instance, attribute, None)
        if not type(app).__module__.startswith(but):
            setattr(instance, attribute, _served(app, entry, plugin))
        return result

    return take


def given_first(entry: Wrapper, plugin: str) -> Wrapper:
    """Give what goes around a server's function whose first argument is the app.

    Args:
        entry: as :func:`kept_as` has it, likewise the next.
        plugin: the integration's name.
    """

    def give(wrapped: Any, _instance: Any, args: Any, kwargs: Any) -> Any:
        return wrapped(_served(args[0], entry, plugin), *args[1:], **kwargs) if args else wrapped(**kwargs)

    return give


class _Served(wrapt.FunctionWrapper):
    """An app as a server calls it."""


def _served(app: Any, entry: Wrapper, plugin: str) -> Any:
    """Give the app with the entry around it; what cannot be called is left to the server's own complaint."""
    try:
        if not callable(app) or type(app) is _Served:
            return app
        return _Served(app, _unless_off(entry, plugin, seams.owner(type(app)) or plugin))
    except Exception as error:  # noqa: BLE001 - recording never breaks the server
        faults.report("serve", error)
        return app


def _unless_off(entry: Wrapper, plugin: str, framework: str) -> Wrapper:
    """An app is left alone where its server's integration is switched off, or that of the framework which made it."""

    def call(wrapped: Any, instance: Any, args: Any, kwargs: Any) -> Any:
        if seams.is_off(plugin) or seams.is_off(framework):
            return wrapped(*args, **kwargs)
        return entry(wrapped, instance, args, kwargs)

    return call
