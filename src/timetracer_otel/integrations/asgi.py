"""ASGI servers: each HTTP request is an entry where the server calls its app, of whatever framework, or of none."""

from __future__ import annotations

from functools import partial
from typing import Final

from timetracer_otel.families.entry import workers
from timetracer_otel.families.entry.asgi import TimeTracerMiddleware, asgi_call
from timetracer_otel.families.entry.serving import given_first, kept_as
from timetracer_otel.seams import Integration, Patch

__all__ = ["INTEGRATION", "TimeTracerMiddleware"]

NAME: Final = "asgi"

_kept_as = partial(kept_as, entry=asgi_call, plugin=NAME)

INTEGRATION = Integration(
    NAME,
    (
        Patch("uvicorn.config", "Config.load", _kept_as("loaded_app")),
        Patch("hypercorn.app_wrappers", "ASGIWrapper.__init__", _kept_as("app")),
        Patch("daphne.server", "Server.__init__", _kept_as("application")),
        Patch("granian.asgi", "_callback_wrapper", given_first(asgi_call, NAME)),
        Patch("gunicorn.workers.gasgi", "ASGIWorker.load_wsgi", _kept_as("asgi")),
        *workers.PATCHES,
    ),
    packages={name: name for name in ("daphne", "granian", "gunicorn", "hypercorn", "uvicorn")},
)
