"""A WSGI entry (PEP 3333): opens a lane for each request, and sees request and response pass."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeAlias

from timetracer_otel import spans
from timetracer_otel.families.entry.elsewhere import LastAnswer, silent_wsgi
from timetracer_otel.families.entry.exchange import (
    MARK,
    ClientGone,
    Exchange,
    guarded,
    open_exchange,
    origin_form,
    quoted,
)
from timetracer_otel.families.entry.wsgi_input import ObservedInput, read_whole
from timetracer_otel.families.kinds.http import Request
from timetracer_otel.seams import Headers, Runtime, active
from timetracer_otel.seams.door import install
from timetracer_otel.seams.handover import AnsweredElsewhere, handover
from timetracer_otel.seams.lanes import entering

__all__ = ["TimeTracerMiddleware", "run", "wsgi_call"]

Environ: TypeAlias = dict[str, Any]
StartResponse: TypeAlias = Callable[..., Any]
App: TypeAlias = Callable[[Environ, StartResponse], Any]

_LANE_HEADER = "HTTP_" + spans.LANE_HEADER.upper().replace("-", "_")
_PLAIN = ("CONTENT_TYPE", "CONTENT_LENGTH")


def wsgi_call(wrapped: App, _instance: object, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Go around ``app(environ, start_response)``, as wrapt calls a wrapper."""
    try:
        environ, start_response = _request_of(*args, **kwargs)
    except TypeError:  # neither is it one of the app's: that says so
        return wrapped(*args, **kwargs)
    return run(wrapped, environ, start_response)


def _request_of(environ: Environ, start_response: StartResponse) -> tuple[Environ, StartResponse]:
    """Read the arguments of a server's call, by position or by name."""
    return environ, start_response


def run(app: App, environ: Environ, start_response: StartResponse) -> Any:
    """Answer a request by an app, in a lane of its own.

    Args:
        app: any WSGI application.
        environ: of the request.
        start_response: the server's.
    """
    runtime = active()
    if runtime is None or MARK in environ or entering() is not None:
        return app(environ, start_response)
    try:
        exchange = _open(runtime, environ)
    except AnsweredElsewhere as answered:
        return silent_wsgi(start_response, answered.status)
    if exchange is None:
        return app(environ, start_response)
    try:
        with exchange.lane.entered():
            result = app(environ, _observed_start(exchange, start_response))
    except BaseException as error:
        exchange.finish(ended=False, error=error)
        if handover.leave is not None:
            handover.leave()
        raise
    observed = _observed_result(exchange, result)
    return observed if handover.closed is None else LastAnswer(observed)


class TimeTracerMiddleware:
    """Any WSGI app, recorded or replayed: ``app.wsgi_app = TimeTracerMiddleware(app.wsgi_app)``.

    Args:
        app: the WSGI application.
        config: the settings; those of the environment when None.

    Raises:
        ConfigError: a setting is wrong, or another mode is in force already.
    """

    def __init__(self, app: App, config: object = None) -> None:
        self.app = app
        install(config)

    def __call__(self, environ: Environ, start_response: StartResponse) -> Any:
        """Answer a request."""
        return run(self.app, environ, start_response)


@guarded("wsgi.open")
def _open(runtime: Runtime, environ: Environ) -> Exchange | None:
    request = _request(environ)
    reads_ahead = runtime.wants_whole(request)
    if reads_ahead:
        terminated = bool(environ.get("wsgi.input_terminated"))
        environ["wsgi.input"] = read_whole(environ["wsgi.input"], request, terminated=terminated)
    if runtime.strips_lane_header:
        environ.pop(_LANE_HEADER, None)
    exchange = open_exchange("wsgi", runtime, environ, request)
    if exchange is not None and not reads_ahead:
        environ["wsgi.input"] = ObservedInput(environ["wsgi.input"], request)
    return exchange


def _request(environ: Environ) -> Request:
    return Request(
        method=environ["REQUEST_METHOD"],
        target=_target(environ),
        headers=_headers(environ),
        scheme=environ.get("wsgi.url_scheme", "http"),
        http_version=environ.get("SERVER_PROTOCOL", "HTTP/1.1").rpartition("/")[2],
        peer=_peer(environ),
    )


def _peer(environ: Environ) -> tuple[str, int] | None:
    port = spans.whole_number(str(environ.get("REMOTE_PORT", "")))
    return None if port is None else (environ.get("REMOTE_ADDR", ""), port)


def _target(environ: Environ) -> str:
    received = environ.get("RAW_URI") or environ.get("REQUEST_URI")
    if received:
        return origin_form(received)
    path = quoted((environ.get("SCRIPT_NAME", "") + environ.get("PATH_INFO", "")).encode("latin-1")) or "/"
    query = environ.get("QUERY_STRING")
    return f"{path}?{query}" if query else path


def _headers(environ: Environ) -> Headers:
    """Give the headers under their usual spelling; WSGI has joined those that came twice."""
    headers = []
    for name, value in environ.items():
        plain = name in _PLAIN
        if (plain and value) or (name.startswith("HTTP_") and name[5:] not in _PLAIN):
            headers.append(((name if plain else name[5:]).replace("_", "-").title(), value))
    return headers


def _observed_start(exchange: Exchange, start_response: StartResponse) -> StartResponse:
    def start(*args: Any, **named: Any) -> Callable[[bytes], object]:
        # By name only the server knows what the second is called: PEP 3333 says response_headers.
        status, headers = (*args, *(value for name, value in named.items() if name != "exc_info"), None, None)[:2]
        if isinstance(headers, str):
            status, headers = headers, status
        seen = list(headers or ())  # the server may change its list
        write = start_response(*args, **named)
        exchange.start(status, seen)
        return _observed_write(exchange, write)

    return start


def _observed_write(exchange: Exchange, write: Callable[[bytes], object]) -> Callable[[bytes], object]:
    def observed(data: bytes) -> object:
        try:
            result = write(data)
        except OSError:
            exchange.client_left()
            raise
        exchange.sent(data)
        return result

    return observed


def _observed_result(exchange: Exchange, result: Any) -> Any:
    if type(result) in {list, tuple}:
        for chunk in result:
            exchange.sent(chunk)
        exchange.finish(ended=True)
        return result
    return (_SizedBody if hasattr(type(result), "__len__") else _Body)(exchange, result)


class _Body:
    """A response's iterable: each step and ``close()`` in the lane, no chunk pulled ahead.

    The lane's entry ends with the first of: the last byte of an announced length, the end of the iterable, an error,
    ``close()``, being forgotten. Not every middleware and test client calls ``close()``.
    """

    def __init__(self, exchange: Exchange, result: Iterable[bytes]) -> None:
        self._exchange = exchange
        self._result = result
        self._steps: Iterator[bytes] | None = None

    def __iter__(self) -> Iterator[bytes]:
        self._begin()
        return self

    def _begin(self) -> Iterator[bytes]:
        if self._steps is None:
            try:
                with self._exchange.lane.entered():
                    self._steps = iter(self._result)
            except BaseException as error:
                self._exchange.finish(ended=False, error=error)
                raise
        return self._steps

    def __next__(self) -> bytes:
        steps = self._steps or self._begin()
        try:
            with self._exchange.lane.entered():
                chunk = next(steps)
        except StopIteration:
            self._exchange.finish(ended=True)
            raise
        except ClientGone:
            self._exchange.closed()
            raise StopIteration from None
        except BaseException as error:
            self._exchange.finish(ended=False, error=error)
            raise
        self._exchange.sent(chunk)
        if self._exchange.is_whole:
            self._exchange.finish(ended=True)
        return chunk

    def close(self) -> None:
        """Close the app's iterable, and end the lane."""
        close = getattr(self._result, "close", None)
        try:
            if close is not None:
                with self._exchange.lane.entered():
                    close()
        except BaseException as error:
            self._exchange.closed(error)
            raise
        self._exchange.closed()

    def __del__(self) -> None:
        self._exchange.closed()


class _SizedBody(_Body):
    """The same of an iterable that knows how many chunks it has; servers derive a Content-Length from one."""

    def __len__(self) -> int:
        return len(self._result)  # type: ignore[arg-type] # made only of what has a length
