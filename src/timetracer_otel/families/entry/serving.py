"""Where servers take the app that they serve: whatever framework made it, or none, its requests are entries there.

That is outside of all middleware: the entry is what reached the server and what left it. A framework's own seam inside
finds the lane that is open already; it is for servers that no Python code calls (uWSGI, mod_wsgi) and for test clients.
"""

from __future__ import annotations

from typing import Any

import wrapt

from timetracer_otel.seams import faults
from timetracer_otel.seams.integration import Wrapper

__all__ = ["given_first", "kept_as"]


def kept_as(attribute: str, entry: Wrapper, *, but: str = "\0") -> Wrapper:
    """Give what goes around a method of a server that leaves the app in one of the server's attributes.

    Args:
        attribute: its name.
        entry: what goes around the app's calls, of WSGI or ASGI.
        but: start of the name of a module whose apps are left as they are.
    """

    def take(wrapped: Any, instance: Any, args: Any, kwargs: Any) -> Any:
        result = wrapped(*args, **kwargs)
        app = getattr(instance, attribute, None)
        if not type(app).__module__.startswith(but):
            setattr(instance, attribute, _served(app, entry))
        return result

    return take


def given_first(entry: Wrapper) -> Wrapper:
    """Give what goes around a server's function whose first argument is the app.

    Args:
        entry: as :func:`kept_as` has it.
    """

    def give(wrapped: Any, _instance: Any, args: Any, kwargs: Any) -> Any:
        return wrapped(_served(args[0], entry), *args[1:], **kwargs) if args else wrapped(**kwargs)

    return give


def _served(app: Any, entry: Wrapper) -> Any:
    """Give the app with the entry around it; what cannot be called is left to the server's own complaint."""
    try:
        is_served = getattr(app, "_self_wrapper", None) is entry
        return wrapt.FunctionWrapper(app, entry) if callable(app) and not is_served else app
    except Exception as error:  # noqa: BLE001 - recording never breaks the server
        faults.report("serve", error)
        return app
