"""WSGI servers: each request is an entry where the server calls its app, of whatever framework, or of none."""

from __future__ import annotations

from timetracer_otel.families.entry.serving import given_first, kept_as
from timetracer_otel.families.entry.wsgi import TimeTracerMiddleware, wsgi_call
from timetracer_otel.seams import Integration, Patch

__all__ = ["INTEGRATION", "TimeTracerMiddleware"]

_DEBUGGER = "werkzeug.debug"
"""Its pages are of no use to a recording, and differ in each run."""

INTEGRATION = Integration(
    "wsgi",
    (
        # Not where all workers of gunicorn have it: uvicorn's, which hands the app on, looks at what it is.
        Patch("gunicorn.workers.sync", "SyncWorker.load_wsgi", kept_as("wsgi", wsgi_call)),
        Patch("gunicorn.workers.gthread", "ThreadWorker.load_wsgi", kept_as("wsgi", wsgi_call)),
        Patch("gunicorn.workers.base_async", "AsyncWorker.load_wsgi", kept_as("wsgi", wsgi_call)),
        Patch("granian.wsgi", "_callback_wrapper", given_first(wsgi_call)),
        Patch("hypercorn.app_wrappers", "WSGIWrapper.__init__", kept_as("app", wsgi_call)),
        Patch("waitress.server", "BaseWSGIServer.__init__", kept_as("application", wsgi_call)),
        Patch("cheroot.wsgi", "Server.__init__", kept_as("wsgi_app", wsgi_call)),
        Patch("gevent.pywsgi", "WSGIServer.__init__", kept_as("application", wsgi_call)),
        Patch("werkzeug.serving", "BaseWSGIServer.__init__", kept_as("app", wsgi_call, but=_DEBUGGER)),
        Patch(_DEBUGGER, "DebuggedApplication.__init__", kept_as("app", wsgi_call)),
        Patch("wsgiref.simple_server", "WSGIServer.set_app", kept_as("application", wsgi_call)),
    ),
    packages={name: name for name in ("cheroot", "gevent", "granian", "gunicorn", "hypercorn", "waitress", "werkzeug")},
)
