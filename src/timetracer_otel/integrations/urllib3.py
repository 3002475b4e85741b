"""urllib3, and so requests, botocore and most SDKs. It sends by http.client, where whole messages pass; see there."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from timetracer_otel.cassette.version1 import Library
from timetracer_otel.families.http import http_client
from timetracer_otel.families.http.family import declared
from timetracer_otel.families.http.lengths import forgiving
from timetracer_otel.families.http.messages import Sent
from timetracer_otel.seams import Instrumentor, Patch

__all__ = ["INTEGRATION"]


def _urlopen(wrapped: Any, instance: Any, args: Any, kwargs: Any) -> Any:
    """Around one try: says for which request a connection is made, because urllib3 makes it before it sends."""
    token = http_client.asked_for.set(lambda: _asked(instance, *args, **kwargs))
    try:
        return wrapped(*args, **kwargs)
    finally:
        http_client.asked_for.reset(token)


def _asked(
    pool: Any, method: str, url: str, body: Any = None, headers: Any = None, *_args: Any, **_kwargs: Any
) -> Sent:
    known = body is None or isinstance(body, bytes | str)
    content = body.encode("utf-8") if isinstance(body, str) else (body or b"") if known else b""
    host = f"[{pool.host}]" if ":" in pool.host and not pool.host.startswith("[") else pool.host
    default = {"http": 80, "https": 443}.get(pool.scheme)
    port = "" if pool.port in (None, default) else f":{pool.port}"
    target = url if urlsplit(url).scheme else f"{pool.scheme}://{host}{port}{url}"
    given = dict(pool.headers if headers is None else headers)
    pairs = [(str(name), _text(value)) for name, value in given.items()]
    return Sent(method, target, pairs, content, complete=known)


def _text(value: Any) -> str:
    return value.decode("latin-1") if isinstance(value, bytes) else str(value)


INTEGRATION = declared(
    "urllib3",
    (
        *http_client.PATCHES,
        Patch("urllib3.connectionpool", "HTTPConnectionPool.urlopen", _urlopen),
        Patch("urllib3.connection", "HTTPConnection.connect", http_client.connect),
        Patch("urllib3.connection", "HTTPSConnection.connect", http_client.connect),
        forgiving("opentelemetry.instrumentation.urllib3"),
    ),
    aliases=("requests",),
    packages={"urllib3": "urllib3", "requests": "requests"},
    instrumentors=(Instrumentor("requests", "requests"), Instrumentor("urllib3", "urllib3")),
    version1=(Library("requests", errors="requests.exceptions"),),
    plumbing=("urllib3.connectionpool", "urllib3.util.connection", "urllib3.util.timeout"),
)
