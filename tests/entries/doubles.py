"""A runtime and lanes that only take notes, and servers in a few lines."""

from __future__ import annotations

import contextlib
import io
import socket
import threading
import uuid
import warnings
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from opentelemetry.context import Context
from opentelemetry.sdk.trace import Span, SpanProcessor, TracerProvider
from opentelemetry.trace import SpanKind

from timetracer_otel import spans
from timetracer_otel.families.kinds.http import Request, Response
from timetracer_otel.seams import Call, Entry, Lane, Responder, lane_of, mark

Events = list[Any]


class Marking(SpanProcessor):
    """Lets each span carry its lane, as the processor of a recording does."""

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        """Mark the span."""
        lane = lane_of(parent_context) or lane_of()
        if lane is not None:
            mark(span, lane)


def marking_provider() -> TracerProvider:
    """A tracer provider whose spans carry their lanes."""
    provider = TracerProvider()
    provider.add_span_processor(Marking())
    return provider


class NotedLane(Lane):
    """A lane that keeps how it ended. ``ends`` grows with every finish()."""

    def __init__(self, runtime: NotingRuntime, entry: Entry | None) -> None:
        super().__init__(uuid.uuid4().hex, entry)
        self.ends: list[tuple[Response | None, BaseException | None]] = []
        self.over = threading.Event()

    def finish(self, error: BaseException | None) -> None:
        """Note the end."""
        self.ends.append((self.entry.response if isinstance(self.entry, Request) else None, error))
        self.over.set()

    @property
    def asked(self) -> Request:
        """The request, which an entry always has."""
        assert isinstance(self.entry, Request)
        return self.entry

    @property
    def received(self) -> bytes:
        """The request's body."""
        return b"".join(self.asked.body)

    @property
    def response(self) -> Response:
        """The response of a lane that ended once, with one."""
        assert self.over.wait(10), "the lane never ended"
        [(response, _)] = self.ends
        assert response is not None
        return response

    @property
    def sent(self) -> bytes:
        """The response's body."""
        return b"".join(self.response.body)

    @property
    def error(self) -> BaseException | None:
        """What left the app."""
        assert self.over.wait(10), "the lane never ended"
        [(_, error)] = self.ends
        return error


class NotingRuntime:
    """A runtime that opens a lane for every request.

    Args:
        replaying: whether to behave as in replay: bodies are read ahead, our own header is removed.
    """

    def __init__(self, *, replaying: bool = False) -> None:
        self.strips_lane_header = self.answers = replaying
        self.replaying = replaying
        self.excluded = ""
        self.lanes: list[NotedLane] = []
        self.bodies: list[bytes] = []
        """What was known of each request's body when its lane was opened."""
        self._session = NotedLane(self, None)

    def open_lane(self, entry: Entry, bequest: object = None) -> Lane | None:
        """Open a lane, unless the path is excluded."""
        self.bodies.append(b"".join(entry.messages[0].body))
        if self.excluded and entry.path.startswith(self.excluded):
            return None
        self.lanes.append(NotedLane(self, entry))
        return self.lanes[-1]

    def wants_whole(self, entry: Entry) -> bool:
        """Read ahead in replay, where a body may be."""
        return self.replaying and entry.method != "GET"

    def session(self) -> Lane:
        """Give the session."""
        return self._session

    def begin(
        self, name: str, attributes: Mapping[str, spans.Attribute], kind: SpanKind = SpanKind.CLIENT
    ) -> Call | None:
        """Fail: entries make no calls."""
        raise AssertionError(f"no call is made here: {name} {attributes} {kind}")

    def responder(self, plugin: str) -> Responder | None:
        """Fail, as above."""
        raise AssertionError(f"nothing is answered here: {plugin}")

    @property
    def lane(self) -> NotedLane:
        """The only lane."""
        [lane] = self.lanes
        return lane


def here() -> str | None:
    """The id of the lane that the caller runs in."""
    lane = lane_of()
    return None if lane is None else lane.id


def environ(method: Any = "GET", path: Any = "/", body: Any = b"", **more: Any) -> dict[str, Any]:
    """A WSGI environ as a plain server makes it."""
    made = {
        "REQUEST_METHOD": method,
        "SCRIPT_NAME": "",
        "PATH_INFO": path,
        "QUERY_STRING": "",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "SERVER_NAME": "test",
        "SERVER_PORT": "80",
        "HTTP_HOST": "test",
        "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(body),
        "wsgi.errors": io.StringIO(),
    }
    if body:
        made["CONTENT_LENGTH"] = str(len(body))
    return made | more


def serve_wsgi(app: Callable[..., Any], request: dict[str, Any], *, at_most: int | None = None) -> Events:
    """Serve a request and give everything that a server sees, in order.

    Args:
        app: the WSGI application.
        request: its environ.
        at_most: how many chunks to take before the client is gone.
    """
    events: Events = []

    def start_response(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Callable[[bytes], None]:
        events.append(("start", status, list(headers), None if exc_info is None else exc_info[1]))
        return lambda data: events.append(("write", data))

    result = None
    try:
        result = app(request, start_response)
        with contextlib.suppress(TypeError):
            events.append(("length", len(result)))
        for count, chunk in enumerate(result):
            events.append(("chunk", chunk))
            if count + 1 == at_most:
                break
        else:
            events.append("end")
    except Exception as error:  # noqa: BLE001 - a server catches everything
        events.append(("error", error))
    finally:
        close = getattr(result, "close", None)
        if close is not None:
            try:
                close()
            except Exception as error:  # noqa: BLE001 - a server catches everything
                events.append(("close error", error))
    return events


def scope(method: Any = "GET", path: Any = "/", **more: Any) -> dict[str, Any]:
    """An ASGI scope as a plain server makes it."""
    made = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "root_path": "",
        "headers": [(b"host", b"test")],
        "client": ("127.0.0.1", 1),
        "server": ("test", 80),
        "state": {},
    }
    return made | more


async def serve_asgi(app: Callable[..., Any], request: dict[str, Any], incoming: list[dict[str, Any]]) -> Events:
    """Serve a request and give everything that a server sees, in order: received, sent, returned, raised."""
    events: Events = []
    waiting = iter(incoming)

    async def receive() -> dict[str, Any]:
        message = next(waiting, {"type": "http.disconnect"})
        events.append(("received", message))
        return message

    async def send(message: dict[str, Any]) -> None:
        events.append(("sent", message))

    try:
        events.append(("returned", await app(request, receive, send)))
    except Exception as error:  # noqa: BLE001 - a server catches everything
        events.append(("error", error))
    return events


def exchange(port: int, request: bytes) -> bytes:
    """Send raw bytes to a server on loopback and read until it closes the connection."""
    with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
        connection.sendall(request)
        return b"".join(iter(lambda: connection.recv(1 << 16), b""))


@contextlib.contextmanager
def werkzeug_server(app: Callable[..., Any]) -> Iterator[int]:
    """Werkzeug's threaded development server; gives its port."""
    from werkzeug.serving import make_server  # noqa: PLC0415 - only these tests need it

    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        thread.join(10)
        server.server_close()


@contextlib.contextmanager
def uvicorn_server(app: Callable[..., Any], **settings: Any) -> Iterator[int]:
    """Uvicorn in a thread; gives its port."""
    import uvicorn  # noqa: PLC0415 - only these tests need it

    listening = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, log_level="critical", **settings))
    started = threading.Event()
    startup = server.startup

    async def announce(*args: Any, **kwargs: Any) -> None:
        await startup(*args, **kwargs)
        started.set()

    server.startup = announce  # type: ignore[method-assign] # uvicorn has no callback for this
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
    thread.start()
    assert started.wait(20), "uvicorn did not start"
    try:
        yield listening.getsockname()[1]
    finally:
        server.should_exit = True
        thread.join(20)
        listening.close()


def starlette_client(app: Any) -> Any:
    """Starlette's test client for an app."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # on import it asks for a successor of httpx
        from starlette.testclient import TestClient  # noqa: PLC0415 - see above

    return TestClient(app)
