"""WSGI servers: each request is an entry where the server calls its app, of whatever framework, or of none."""

from __future__ import annotations

from functools import partial
from typing import Final

from timetracer_otel.families.entry.serving import given_first, kept_as
from timetracer_otel.families.entry.wsgi import TimeTracerMiddleware, wsgi_call
from timetracer_otel.seams import Integration, Patch

__all__ = ["INTEGRATION", "TimeTracerMiddleware"]

NAME: Final = "wsgi"

_kept_as = partial(kept_as, entry=wsgi_call, plugin=NAME)

_DEBUGGER = "werkzeug.debug"
"""Its pages are of no use to a recording, and differ in each run."""

INTEGRATION = Integration(
    NAME,
    (
        # Not where all workers of gunicorn have it: uvicorn's, which hands the app on, looks at what it is.
        Patch("gunicorn.workers.sync", "SyncWorker.load_wsgi", _kept_as("wsgi")),
        Patch("gunicorn.workers.gthread", "ThreadWorker.load_wsgi", _kept_as("wsgi")),
        Patch("gunicorn.workers.base_async", "AsyncWorker.load_wsgi", _kept_as("wsgi")),
        Patch("granian.wsgi", "_callback_wrapper", given_first(wsgi_call, NAME)),
        Patch("hypercorn.app_wrappers", "WSGIWrapper.__init__", _kept_as("app")),
        Patch("waitress.server", "BaseWSGIServer.__init__", _kept_as("application")),
        Patch("cheroot.wsgi", "Server.__init__", _kept_as("wsgi_app")),
        Patch("gevent.pywsgi", "WSGIServer.__init__", _kept_as("application")),
        Patch("werkzeug.serving", "BaseWSGIServer.__init__", _kept_as("app", but=_DEBUGGER)),
        Patch(_DEBUGGER, "DebuggedApplication.__init__", _kept_as("app")),
        Patch("wsgiref.simple_server", "WSGIServer.set_app", _kept_as("application")),
    ),
    packages={name: name for name in ("cheroot", "gevent", "granian", "gunicorn", "hypercorn", "waitress", "werkzeug")},
)
