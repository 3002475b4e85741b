"""Modules whose draws do not count: they wait, serve, log or trace, and would break with the clocks of the past.

Everything else counts without being named. Here is what no library of ours stands for; what the driver of a recorded
library needs, its integration states. A name that ends with a dot is a package with all that is in it; any other is
that module alone, because beside a module that waits there is often one whose draws reach the app's data
(``urllib3.util.timeout`` and ``urllib3.filepost``).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

__all__ = ["EDGES", "MODULES", "OTHERS", "Names"]

_INNER: Final = ("_pydatetime", "_strptime", "datetime", "importlib.", "random", "secrets", "tempfile", "uuid")
"""They draw for who called them: the outer call is the draw."""

_WAITS: Final = (
    "_threading_local", "bdb", "concurrent.futures._base", "concurrent.futures.process", "multiprocessing.", "queue",
    "sched", "selectors", "signal", "socket", "ssl", "subprocess", "threading",
    "django.utils.autoreload", "watchdog.", "watchfiles.", "werkzeug._reloader",
)  # fmt: skip
_LOOPS: Final = ("anyio._backends.", "curio.", "eventlet.", "gevent.", "trio.", "twisted.internet.", "uvloop.")
_SERVERS: Final = (
    "asgiref.server", "cheroot.", "daphne.", "django.core.servers.", "granian.", "gunicorn.", "http.server",
    "hypercorn.", "meinheld.", "socketserver", "uvicorn.", "waitress.", "websockets.", "werkzeug.serving", "wsgiref.",
    "wsproto.",
)  # fmt: skip
_LOGS: Final = ("logging.", "loguru.", "structlog.", "uvicorn.logging")
_POOLS: Final = ("psycopg_pool.", "sqlalchemy.pool.")
_TESTS: Final = ("_pytest.", "execnet.", "pluggy.", "pytest_asyncio.", "pytest_timeout", "pytest_timetracer.", "xdist.")
"""They time and run tests; the tests themselves are the app's code."""
_TELEMETRY: Final = ("grpc.", "opentelemetry.", "timetracer_otel.")

MODULES: Final = (*_INNER, *_WAITS, "asyncio.", *_LOOPS, *_SERVERS, *_LOGS, *_POOLS, *_TESTS, *_TELEMETRY)

EDGES: Final = (
    "asyncio.base_events", "asyncio.events", "asyncio.runners", *_LOOPS, *_SERVERS,
    "timetracer_otel.families.entry.asgi", "timetracer_otel.families.entry.executing",
    "timetracer_otel.families.entry.wsgi",
)  # fmt: skip
"""These run the app step by step. Nothing outside of them asked for what is drawn inside."""

OTHERS: Final = (
    "opentelemetry.exporter.", "opentelemetry.sdk.", "timetracer_otel.cassette.", "timetracer_otel.exporters.",
    "timetracer_otel.replay.",
)  # fmt: skip
"""These work for themselves with libraries that the app uses too: an exporter sends spans by requests."""


class Names:
    """Names of modules and, with a dot at their end, of packages.

    Args:
        names: the names.
    """

    def __init__(self, names: Iterable[str]) -> None:
        whole = frozenset(names)
        self._modules = frozenset(name for name in whole if not name.endswith("."))
        self._packages = frozenset(name.removesuffix(".") for name in whole if name.endswith("."))

    def __contains__(self, module: str) -> bool:
        if module in self._modules:
            return True
        while module:
            if module in self._packages:
                return True
            module = module.rpartition(".")[0]
        return False
