"""Any app behind the seam: the server sees the same events in the same order as without it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from hypothesis import given
from hypothesis import strategies as st

from tests.entries.doubles import Events, NotingRuntime, environ, scope, serve_asgi, serve_wsgi
from timetracer_otel import seams
from timetracer_otel.families.entry import asgi, wsgi

HEADERS = st.lists(
    st.tuples(st.sampled_from(["A", "b", "Content-Length"]), st.sampled_from(["", "1", "3", "ÿ"])), max_size=3
)
CHUNKS = st.lists(st.binary(max_size=4), max_size=4)


class AppError(Exception):
    """What the generated apps raise; two of them are equal when they say the same."""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, AppError) and self.args == other.args

    def __hash__(self) -> int:
        return hash(self.args)


class Plan(NamedTuple):
    """How a generated WSGI app behaves."""

    shape: str
    status: str
    headers: list[tuple[str, str]]
    reads: list[int]
    written: list[bytes]
    chunks: list[bytes]
    fails: str
    late_start: bool


PLANS = st.builds(
    Plan,
    shape=st.sampled_from(["list", "tuple", "generator", "closing", "sized"]),
    status=st.sampled_from(["200 OK", "204 No Content", "304 Not Modified", "500 Oops"]),
    headers=HEADERS,
    reads=st.lists(st.integers(-1, 5), max_size=3),
    written=st.lists(st.binary(max_size=3), max_size=2),
    chunks=CHUNKS,
    fails=st.sampled_from(["", "", "call", "start", "step", "close"]),
    late_start=st.booleans(),
)


class Chunks:
    """A response's iterable that notes each step, and fails where the plan says."""

    def __init__(self, plan: Plan, notes: Events) -> None:
        self.plan = plan
        self.notes = notes

    def __iter__(self) -> Iterator[bytes]:
        for chunk in self.plan.chunks:
            self.notes.append(("pulled", chunk))
            yield chunk
        if self.plan.fails == "step":
            raise AppError("step")


class Closing(Chunks):
    """One with a close()."""

    def close(self) -> None:
        """Note it, and fail if planned."""
        self.notes.append("closed")
        if self.plan.fails == "close":
            raise AppError("close")


class Sized(Chunks):
    """One with a length."""

    def __len__(self) -> int:
        return len(self.plan.chunks)


def wsgi_app(plan: Plan, notes: Events) -> Callable[..., Any]:
    """Make the app of a plan."""

    def answer(request: dict[str, Any], start: Callable[..., Any]) -> None:
        notes.extend(("read", request["wsgi.input"].read(size)) for size in plan.reads)
        write = start(plan.status, plan.headers)
        for data in plan.written:
            write(data)
        if plan.fails == "start":
            start("500 Late", [], (AppError, AppError("start"), None))

    def generator(request: dict[str, Any], start: Callable[..., Any]) -> Iterator[bytes]:
        if plan.late_start:
            answer(request, start)
        try:
            yield from Chunks(plan, notes)
        finally:
            notes.append("finally")

    def app(request: dict[str, Any], start: Callable[..., Any]) -> Any:
        if plan.fails == "call":
            raise AppError("call")
        if not (plan.shape == "generator" and plan.late_start):
            answer(request, start)
        makers: dict[str, Callable[[], Any]] = {
            "list": lambda: plan.chunks,
            "tuple": lambda: tuple(plan.chunks),
            "generator": lambda: generator(request, start),
            "closing": lambda: Closing(plan, notes),
            "sized": lambda: Sized(plan, notes),
        }
        return makers[plan.shape]()

    return app


@given(
    plan=PLANS,
    method=st.sampled_from(["GET", "HEAD", "POST"]),
    data=st.binary(max_size=8),
    at_most=st.none() | st.integers(1, 3),
)
def test_wsgi_is_transparent(plan: Plan, method: str, data: bytes, at_most: int | None) -> None:
    """Calls of start_response and write, length, chunks, their order and laziness, errors and close are the same."""
    plain: Events = []
    plain += serve_wsgi(wsgi_app(plan, plain), environ(method, body=data), at_most=at_most)
    runtime = NotingRuntime()
    seams.set_active(runtime)
    notes: Events = []
    try:
        app = wsgi_app(plan, notes)
        notes += serve_wsgi(lambda *args: wsgi.run(app, *args), environ(method, body=data), at_most=at_most)
    finally:
        seams.set_active(None)
    assert notes == plain
    assert len(runtime.lane.ends) == 1
    if "end" in notes and runtime.lane.error is None:
        taken = [event[1] for event in notes if event[0] in {"write", "chunk"}]
        assert runtime.lane.sent == b"".join(taken)
        assert runtime.lane.response.complete


STEPS = st.lists(
    st.one_of(
        st.just(("receive",)),
        st.tuples(st.just("start"), st.sampled_from([200, 204, 304, 500]), HEADERS, st.booleans()),
        st.tuples(st.just("body"), st.binary(max_size=4), st.booleans()),
        st.tuples(st.just("trailers"), HEADERS, st.booleans()),
        st.tuples(st.just("other"), st.sampled_from(["http.response.push", "http.response.debug"])),
        st.just(("sleep",)),
        st.just(("raise",)),
    ),
    max_size=8,
)


def message_of(step: tuple[Any, ...]) -> dict[str, Any]:
    """Make the message of a planned step."""
    kind, *values = step
    if kind == "start":
        return {"type": "http.response.start", "status": values[0], "headers": pairs(values[1]), "trailers": values[2]}
    if kind == "body":
        return {"type": "http.response.body", "body": values[0], "more_body": values[1]}
    if kind == "trailers":
        return {"type": "http.response.trailers", "headers": pairs(values[0]), "more_trailers": values[1]}
    return {"type": values[0]}


def pairs(headers: list[tuple[str, str]]) -> list[tuple[bytes, bytes]]:
    """Give headers as ASGI has them."""
    return [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers]


def asgi_app(steps: list[tuple[Any, ...]]) -> Callable[..., Any]:
    """Make the app that takes these steps, in any order, right or wrong."""

    async def app(_scope: Any, receive: Callable[..., Any], send: Callable[..., Any]) -> str:
        for step in steps:
            if step[0] == "receive":
                await receive()
            elif step[0] == "sleep":
                await asyncio.sleep(0)
            elif step[0] == "raise":
                raise AppError("step")
            else:
                await send(message_of(step))
        return "returned"

    return app


@given(steps=STEPS, method=st.sampled_from(["GET", "HEAD", "POST"]), parts=CHUNKS)
def test_asgi_is_transparent(steps: list[tuple[Any, ...]], method: str, parts: list[bytes]) -> None:
    """Messages both ways, their order, what is returned and what is raised are the same, even of a wrong app."""
    incoming = [{"type": "http.request", "body": part, "more_body": n < len(parts) - 1} for n, part in enumerate(parts)]
    app = asgi_app(steps)
    plain = asyncio.run(serve_asgi(app, scope(method), incoming))
    runtime = NotingRuntime()
    seams.set_active(runtime)
    try:
        events = asyncio.run(serve_asgi(lambda *args: asgi.run(app, *args), scope(method), incoming))
    finally:
        seams.set_active(None)
    assert events == plain
    assert len(runtime.lane.ends) == 1
    received = b"".join(event[1].get("body", b"") for event in events if event[0] == "received")
    assert runtime.lane.received == received
