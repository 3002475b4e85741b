"""The real command in a process of its own, and cassettes for it to look at."""

from __future__ import annotations

import os
import struct
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeAlias

import bson
import pytest
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.trace import SpanContext, SpanKind
from opentelemetry.trace.status import Status, StatusCode

from timetracer_otel import spans
from timetracer_otel.cassette import otlp, storage

START = 1_795_000_000_000_000_000  # 2026-11-18T11:06:40Z
MS = 1_000_000

Completed: TypeAlias = "subprocess.CompletedProcess[str]"
Command: TypeAlias = Callable[..., Completed]

_RUN = "from timetracer_otel.cli.main import run; run()"


def run(*arguments: str | Path, cwd: Path | None = None, **env: str) -> Completed:
    """Run ``timetracer`` as the console script does, with UTF-8 output."""
    environment = {**os.environ, "PYTHONIOENCODING": "utf-8", **env}
    command = [sys.executable, "-c", _RUN, *map(str, arguments)]
    return subprocess.run(
        command, capture_output=True, encoding="utf-8", cwd=cwd, env=environment, timeout=180, check=False
    )


@pytest.fixture
def timetracer() -> Command:
    """The command: ``timetracer("list", folder)``."""
    return run


def op_msg(command: Mapping[str, Any]) -> bytes:
    """Give a command as the wire message that a driver sends."""
    body = struct.pack("<IB", 0, 0) + bson.encode(dict(command))
    return struct.pack("<iiii", 16 + len(body), 1, 0, 2013) + body


class Recording:
    """Builds the spans of one lane or session.

    Args:
        number: makes the ids; lanes of one test have different ones.
        session: the session's id; None for spans of another tool.
    """

    def __init__(self, number: int = 1, session: str | None = "5" * 32, *, of_session: bool = False) -> None:
        self.number = number
        self.id = session if of_session and session else f"{number:032x}"
        resource = {spans.SESSION_ID: session} if session else {}
        self.resource = Resource({**resource, "service.name": "shop", "process.command_args": ("python", "app.py")})
        self.spans: list[tuple[None, dict[str, Any]]] = []

    def span(  # noqa: PLR0913 - the parts of a span
        self,
        name: str,
        kind: SpanKind,
        attributes: Mapping[str, Any],
        *,
        parent: int | None = None,
        offset: int = 0,
        duration: int = 10 * MS,
        status: Status | None = None,
    ) -> int:
        """Add a span, by default the child of none; give its number for children."""
        span_id = self.number * 1000 + len(self.spans) + 1
        trace_id = int(self.id, 16) or 1
        start = START + self.number * 1000 * MS + offset
        span = ReadableSpan(
            name=name,
            context=SpanContext(trace_id, span_id, is_remote=False),
            parent=None if parent is None else SpanContext(trace_id, parent, is_remote=False),
            resource=self.resource,
            kind=kind,
            attributes={spans.LANE_ID: self.id, **attributes},
            start_time=start,
            end_time=start + duration,
            status=status or Status(StatusCode.UNSET),
        )
        self.spans.append((None, otlp.span_to_dict(span)))
        return span_id

    def entry(self, method: str = "GET", target: str = "/users?id=1", status: int = 200, **more: Any) -> int:
        """Add the entry of an HTTP request; ``request`` and ``response`` are bodies, ``extra`` other attributes."""
        request, response = more.pop("request", b""), more.pop("response", b"")
        attributes = {
            spans.HTTP_METHOD: method,
            spans.HTTP_TARGET: target,
            spans.HTTP_STATUS: status,
            **spans.encode_headers(spans.HTTP_REQUEST_HEADERS, more.pop("headers", [("Host", "shop.example")])),
            **spans.encode_headers(spans.HTTP_RESPONSE_HEADERS, [("Content-Type", "application/json")]),
            **spans.encode_payload(spans.HTTP_REQUEST_BODY, request),
            **spans.encode_payload(spans.HTTP_RESPONSE_BODY, response),
            **more.pop("extra", {}),
        }
        return self.span(f"{method} /users", SpanKind.SERVER, attributes, **more)

    def call(self, parent: int, command: Mapping[str, Any], reply: Mapping[str, Any], **more: Any) -> int:
        """Add a Mongo call."""
        attributes = {
            spans.PLUGIN: "pymongo",
            **spans.encode_binary(spans.REQUEST, op_msg(command)),
            **spans.encode_binary(spans.RESPONSE, bson.encode(dict(reply))),
        }
        return self.span(f"shop.{next(iter(command))}", SpanKind.CLIENT, attributes, parent=parent, **more)

    def line(self) -> bytes:
        """The line of a cassette."""
        return otlp.traces_line(otlp.resource_fragment(self.resource.attributes), self.spans)

    def write(self, path: Path) -> Path:
        """Write a file; give its path."""
        storage.write_whole(path, self.line())
        return path
