"""An app whose spans carry everything that a backend has to keep: payloads of any size, events, links, errors."""

from __future__ import annotations

import os
from typing import Any

from flask import Flask, Response, request
from opentelemetry import trace
from opentelemetry.trace import Link, SpanContext, Status, StatusCode, TraceFlags
from pymongo import MongoClient

app = Flask(__name__)
notes = MongoClient[dict[str, Any]](os.environ["MONGODB_URI"], serverSelectionTimeoutMS=2000).timetracer_jaeger.notes
tracer = trace.get_tracer("notes", "1.2")
ELSEWHERE = SpanContext(
    0x0123456789ABCDEF0123456789ABCDEF, 0x0123456789ABCDEF, is_remote=True, trace_flags=TraceFlags(1)
)


@app.post("/notes/<name>")
def store(name: str) -> Response:
    """Store the body in the database, and answer with what is there."""
    notes.replace_one({"_id": name}, {"_id": name, "text": request.get_data()}, upsert=True)
    found = notes.find_one({"_id": name})
    return Response(found["text"] if found else b"", mimetype="application/octet-stream")


@app.get("/spans")
def spans() -> str:
    """Make spans with events, links, states and attributes of every type."""
    with tracer.start_as_current_span("outer", links=[Link(ELSEWHERE, {"why": "grün ✓"})]) as span:
        span.set_attribute("text", 'zwölf \U0001f600 \x00 \u2028 "quoted" \\ <b>&amp;')
        span.set_attributes({"yes": True, "no": False, "large": 2**63 - 1, "small": -(2**63), "zero": 0})
        span.set_attributes({"double": 0.1, "whole": 1.0, "huge": 1e300, "nan": float("nan"), "inf": float("inf")})
        span.set_attributes({"empty": "", "texts": ["a", "ü"], "numbers": [1, 2**53 + 1], "none": []})
        span.set_attribute("bytes", bytes(range(256)))
        span.add_event("seen", {"count": 3, "what": ["x", "y"]})
        with tracer.start_as_current_span("inner") as inner:
            inner.set_status(Status(StatusCode.ERROR, "did not work: ärgerlich"))
        notes.count_documents({})
    return "ok"


@app.get("/fail")
def fail() -> str:
    """Fail, after a call."""
    notes.find_one({"_id": "absent"})
    raise RuntimeError("on purpose: schön")
