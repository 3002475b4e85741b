"""Loading: time and memory to index a collector's file, and to read a lane of it, as the number of calls grows.

``python -m benchmarks.loading`` prints figures for 10^2 to 10^6 calls.
"""

from __future__ import annotations

import json
import os
import resource
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import orjson
from opentelemetry.proto.trace.v1.trace_pb2 import TracesData

from timetracer_otel import spans
from timetracer_otel.cassette import shelf

CALLS_OF_A_LANE = 10
PAYLOAD = "x" * 600
BATCH = 50
"""Lanes that are under way at a time: a message holds a span of each."""
_FORMS = ("json", "proto")


def _messages(calls: int) -> Iterator[list[tuple[int, int]]]:
    """Lane and number of the spans of each message; number 0 is the entry, and ends last."""
    lanes = max(calls // CALLS_OF_A_LANE, 1)
    for first in range(0, lanes, BATCH):
        some = range(first, min(first + BATCH, lanes))
        for number in [*range(1, CALLS_OF_A_LANE + 1), 0]:
            yield [(lane, number) for lane in some]


def _attributes(lane: int, number: int) -> dict[str, str | int]:
    ids: dict[str, str | int] = {spans.LANE_ID: f"{lane + 1:032x}", spans.PLUGIN: "pymongo"}
    if number:
        return {**ids, spans.REQUEST: PAYLOAD, spans.REQUEST + ".codec": "utf-8", spans.REQUEST + ".size": len(PAYLOAD)}
    return {**ids, spans.HTTP_METHOD: "GET", spans.HTTP_TARGET: f"/users/{lane}", "http.route": "/users/{id}"}


def _json(message: list[tuple[int, int]]) -> bytes:
    made = [
        {
            "traceId": f"{lane + 1:032x}",
            "spanId": f"{lane * 100 + number + 1:016x}",
            "parentSpanId": f"{lane * 100 + 1:016x}" if number else "",
            "name": "users.find",
            "kind": 3 if number else 2,
            "startTimeUnixNano": str(1_800_000_000_000_000_000 + lane * 1000 + number),
            "endTimeUnixNano": str(1_800_000_000_000_000_000 + lane * 1000 + number + 1),
            "attributes": [
                {"key": key, "value": {"intValue": str(value)} if isinstance(value, int) else {"stringValue": value}}
                for key, value in _attributes(lane, number).items()
            ],
        }
        for lane, number in message
    ]
    return orjson.dumps({"resourceSpans": [{"scopeSpans": [{"spans": made}]}]}) + b"\n"


def _proto(message: list[tuple[int, int]]) -> bytes:
    data = TracesData()
    group = data.resource_spans.add().scope_spans.add()
    for lane, number in message:
        span = group.spans.add(
            trace_id=(lane + 1).to_bytes(16, "big"),
            span_id=(lane * 100 + number + 1).to_bytes(8, "big"),
            parent_span_id=(lane * 100 + 1).to_bytes(8, "big") if number else b"",
            name="users.find",
            kind=3 if number else 2,  # type: ignore[arg-type]  # an enum is a number on the wire
            start_time_unix_nano=1_800_000_000_000_000_000 + lane * 1000 + number,
            end_time_unix_nano=1_800_000_000_000_000_000 + lane * 1000 + number + 1,
        )
        for key, value in _attributes(lane, number).items():
            field = span.attributes.add(key=key).value
            if isinstance(value, int):
                field.int_value = value
            else:
                field.string_value = value
    encoded = data.SerializeToString()
    return struct.pack(">I", len(encoded)) + encoded


def _write(file: Path, calls: int, form: str) -> None:
    encode = _json if form == "json" else _proto
    with file.open("wb") as out:
        out.writelines(map(encode, _messages(calls)))


def _child(file: str) -> None:
    """Index a file and read a hundred of its lanes; print seconds and bytes."""
    empty = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    began = time.perf_counter()
    own = shelf.Shelf.of([file])
    indexed = time.perf_counter()
    lanes = own.catalog.lanes
    wanted = [lanes[number * 7919 % len(lanes)].id for number in range(100)]
    for lane_id in wanted:
        own.lane(lane_id)
    read = (time.perf_counter() - indexed) / len(wanted)
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 - empty
    print(json.dumps({"index": indexed - began, "read": read, "memory": grown, "lanes": len(lanes)}))


def _measured(calls: int, form: str, work: Path) -> dict[str, float]:
    file = work / f"{calls}.{form}"
    _write(file, calls, form)
    command = [sys.executable, "-m", "benchmarks.loading", "--child", str(file)]
    done = subprocess.run(command, capture_output=True, check=True, env=os.environ)
    found: dict[str, float] = json.loads(done.stdout)
    found["size"] = file.stat().st_size
    file.unlink()
    return found


def measure() -> list[tuple[str, float, str]]:
    """Give rows of name, ratio and bound."""
    rows = []
    with tempfile.TemporaryDirectory() as work:
        for form in _FORMS:
            small, large = (_measured(calls, form, Path(work)) for calls in (1_000, 100_000))
            per_call = large["index"] / 100_000 / (small["index"] / 1_000)
            rows += [
                (f"index of a {form} file: time a call, 10^5 calls beside 10^3", per_call, "≤ 1.5"),
                (
                    f"a lane of a {form} file: time to read, 10^5 calls beside 10^3",
                    large["read"] / small["read"],
                    "≤ 2",
                ),
                (
                    f"index of a {form} file with 10^5 calls: memory beside the file's size",
                    large["memory"] / large["size"],
                    "≤ 1",
                ),
            ]
    return rows


def _main() -> None:
    with tempfile.TemporaryDirectory() as work:
        print("form   calls    file MB  index s  µs a call  read a lane ms  memory MB")
        for form in _FORMS:
            for power in range(2, 7):
                found = _measured(10**power, form, Path(work))
                print(
                    f"{form:5}  10^{power}  {found['size'] / 1e6:9.1f}  {found['index']:7.2f}"
                    f"  {found['index'] / 10**power * 1e6:9.1f}  {found['read'] * 1e3:14.2f}"
                    f"  {found['memory'] / 1e6:9.1f}"
                )


if __name__ == "__main__":
    if sys.argv[1:2] == ["--child"]:
        _child(sys.argv[2])
    else:
        _main()
