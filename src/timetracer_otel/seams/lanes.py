"""Lanes while they run, and which one the current code belongs to.

The lane travels in three ways, strongest first: as a key of the OpenTelemetry context (reaches threads, executors and
streaming bodies), on the span that is current (the instrumentors' ``extract`` starts from an empty context and drops
our key), and as a plain context variable (in the moment before the entry's own span has begun).
"""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from contextvars import ContextVar, Token
from typing import TYPE_CHECKING, cast

from opentelemetry import context as otel_context
from opentelemetry.trace.propagation import _SPAN_KEY  # what get_current_span looks up, in four calls

if TYPE_CHECKING:
    from opentelemetry.context import Context

    from timetracer_otel.seams.entries import Request, Response
    from timetracer_otel.seams.runtime import Runtime

__all__ = ["Entered", "Lane", "entered_lane", "entering", "lane_of", "mark", "process"]

LANE_KEY = otel_context.create_key("timetracer.lane")
_SPAN_ATTRIBUTE = "_timetracer_lane"


class _Process:
    """The id of this process, asked for once a fork: the system call would be the dearest part of finding a lane."""

    def __init__(self) -> None:
        self.renew()
        os.register_at_fork(after_in_child=self.renew)

    def renew(self) -> None:
        self.id = os.getpid()


process = _Process()
_entering: ContextVar[Lane | None] = ContextVar("timetracer_lane", default=None)
entered_lane = _entering.get
"""The lane entered last in this context, for code that is too hot for :func:`lane_of`; it may be another process's."""


class Lane(ABC):
    """One entry's execution, or the session of this process.

    Args:
        lane_id: 32 hexadecimal digits.
        runtime: what records or replays it.
        request: what started it; None for a session.
    """

    def __init__(self, lane_id: str, runtime: Runtime, request: Request | None) -> None:
        self.id = lane_id
        self.runtime = runtime
        self.request = request
        self.pid = process.id
        self.draws: object = None
        """What the lane has drawn, or is to be given; its mode's own."""

    @property
    def is_session(self) -> bool:
        """Whether this is the process's session."""
        return self.request is None

    @abstractmethod
    def finish(self, response: Response | None, error: BaseException | None) -> None:
        """End the lane's entry.

        Args:
            response: what was sent, None when nothing was.
            error: the exception that left the app, None when there was none.
        """

    def grew(self, message: Request | Response, size: int) -> None:  # noqa: B027 - most lanes need nothing
        """Take note that a body has grown; what records may send its bytes away.

        Args:
            message: whose body it is.
            size: bytes that were added.
        """

    def entered(self) -> Entered:
        """A context manager: inside it, calls belong to this lane."""
        return Entered(self)


class Entered:
    """Makes a lane current for a ``with`` block. Cheap, because a streaming body enters once a chunk."""

    __slots__ = ("_lane", "_tokens")

    def __init__(self, lane: Lane) -> None:
        self._lane = lane

    def __enter__(self) -> Lane:
        self._tokens: tuple[Token[Context], Token[Lane | None]] = (
            otel_context.attach(otel_context.set_value(LANE_KEY, self._lane)),
            _entering.set(self._lane),
        )
        return self._lane

    def __exit__(self, *_: object) -> None:
        otel, plain = self._tokens
        otel_context.detach(otel)
        try:
            _entering.reset(plain)
        except ValueError:  # an abandoned coroutine is closed from another context, where there is nothing to reset
            return


def entering() -> Lane | None:
    """The entry's lane whose ``with`` block the current code runs in, also in a thread that copied its context.

    Never stale: unlike :func:`lane_of`, what an OpenTelemetry context kept from an earlier entry does not count.
    """
    lane = _entering.get()
    return None if lane is None or lane.is_session or lane.pid != process.id else lane


def lane_of(context: Context | None = None) -> Lane | None:
    """Give the lane of an OpenTelemetry context (the current one when None); None outside any entry."""
    if context is None:
        context = otel_context.get_current()
    lane = context.get(LANE_KEY)
    if lane is None:
        lane = getattr(context.get(_SPAN_KEY), _SPAN_ATTRIBUTE, None)
    if lane is None:
        lane = _entering.get()
    # A forked child inherits its parent's context; the lane stays with the process that runs it.
    if lane is None or cast("Lane", lane).pid != process.id:
        return None
    return cast("Lane", lane)


def mark(span: object, lane: Lane) -> None:
    """Let a span carry its lane, for contexts that keep the span but lose our key."""
    setattr(span, _SPAN_ATTRIBUTE, lane)
