"""ASGI servers: each HTTP request is an entry where the server calls its app, of whatever framework, or of none."""

from __future__ import annotations

from timetracer_otel.families.entry import workers
from timetracer_otel.families.entry.asgi import TimeTracerMiddleware, asgi_call
from timetracer_otel.families.entry.serving import given_first, kept_as
from timetracer_otel.seams import Integration, Patch

__all__ = ["INTEGRATION", "TimeTracerMiddleware"]

INTEGRATION = Integration(
    "asgi",
    (
        Patch("uvicorn.config", "Config.load", kept_as("loaded_app", asgi_call)),
        Patch("hypercorn.app_wrappers", "ASGIWrapper.__init__", kept_as("app", asgi_call)),
        Patch("daphne.server", "Server.__init__", kept_as("application", asgi_call)),
        Patch("granian.asgi", "_callback_wrapper", given_first(asgi_call)),
        Patch("gunicorn.workers.gasgi", "ASGIWorker.load_wsgi", kept_as("asgi", asgi_call)),
        *workers.PATCHES,
    ),
    packages={name: name for name in ("daphne", "granian", "gunicorn", "hypercorn", "uvicorn")},
)
