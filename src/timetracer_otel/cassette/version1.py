"""Cassettes of timetracer 1.x as OTLP: what they hold, exactly, and nothing that they do not.

One JSON document a file (``schema_version`` 0.1 or 1.0): the request, the response, and ``events``, the outbound calls.
Bodies are there as parsed JSON, or not at all, but with the SHA-256 of their bytes: by it the bytes are found again.
Of a call's request there are method, URL, query and the SHA-256 of the body. Of a database call there are no documents.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote, urlencode

import orjson

from timetracer_otel import spans as names
from timetracer_otel.cassette import files
from timetracer_otel.cassette.converted import lane_span, names_and_values
from timetracer_otel.cassette.decoding import MOST_NAMED, shown
from timetracer_otel.cassette.model import Kind
from timetracer_otel.errors import CassetteError

__all__ = ["Library", "convert"]

Json = dict[str, Any]
Attributes = dict[str, Any]

_VERSIONS: Final = ("0.1", "1.0")
_CODINGS: Final = frozenset({"content-encoding", "transfer-encoding"})
"""Headers that are not true of a body that was kept decoded and in one piece."""
_NO_BODY: Final = frozenset({204, 304})
_ERROR_STATUS: Final = 2
_MS: Final = 1_000_000
_REDACTED: Final = "[REDACTED]"


@dataclass(frozen=True, slots=True)
class Library:
    """A library as timetracer 1.x knew it.

    Args:
        name: in its cassettes.
        errors: the module that has the library's exceptions, of which 1.x keeps the bare names.
        system: of a database, its ``db.system.name``.
        plugin: the integration that answers its calls.
    """

    name: str
    errors: str = "builtins"
    system: str = ""
    plugin: str = ""


def convert(path: Path, libraries: Mapping[str, Library]) -> tuple[Json, list[str]]:
    """Convert a cassette of timetracer 1.x.

    Args:
        path: its file, plain or gzip.
        libraries: those that the integrations know, by name.

    Returns:
        A ``TracesData`` as OTLP/JSON with one lane, and what a replay of it cannot do, a sentence each.

    Raises:
        CassetteError: it cannot be read, or is no such cassette.
    """
    with files.opened(path) as stream:
        data = stream.read(files.MAX_MESSAGE + 1)
    if (count := data.count(b"{")) > MOST_NAMED:
        raise CassetteError(f"holds {count} objects: this is no cassette of timetracer 1.x", file=path)
    try:
        return _Conversion(orjson.loads(data), libraries).result()
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        reason = f"{type(error).__name__}: {error}"
        raise CassetteError(f"is no whole cassette of timetracer 1.x ({reason})", file=path) from error


def _nanoseconds(milliseconds: object) -> int:
    """A duration of 1.x; a text would be repeated, not multiplied."""
    if isinstance(milliseconds, bool) or not isinstance(milliseconds, int | float):
        raise TypeError(f"a time is {shown(milliseconds)}, not a number")
    return int(milliseconds * _MS)


class _Conversion:
    """One cassette, its ids made of its own id: converting it twice gives the same."""

    def __init__(self, cassette: Json, libraries: Mapping[str, Library]) -> None:
        if cassette["schema_version"] not in _VERSIONS:
            raise ValueError(f"schema_version {cassette['schema_version']!r} is not known")
        self._cassette = cassette
        self._libraries = libraries
        self._session = cassette["session"]
        self._lane = hashlib.sha256(str(self._session["id"]).encode()).hexdigest()[:32]
        recorded = datetime.fromisoformat(self._session["recorded_at"])
        self._start = int(recorded.timestamp()) * 1_000_000_000 + recorded.microsecond * 1000
        self._lacking: dict[str, int] = {}

    def result(self) -> tuple[Json, list[str]]:
        spans = [self._entry(), *map(self._call, self._cassette.get("events") or [])]
        resource = {
            "service.name": self._session.get("service") or "",
            "deployment.environment.name": self._session.get("env") or "",
            "process.runtime.version": self._session.get("python_version") or "",
            names.SCHEMA: names.SCHEMA_VERSION,
            names.IMPORTED: "timetracer 1.x",
        }
        scope = {"scope": {"name": "timetracer", "version": str(self._session.get("timetracer_version") or "")}}
        traces = {"resource": {"attributes": names_and_values(resource)}, "scopeSpans": [{**scope, "spans": spans}]}
        problems = [f"{what} ({count} times)" if count > 1 else what for what, count in self._lacking.items()]
        return {"resourceSpans": [traces]}, problems

    def _lacks(self, what: str) -> None:
        self._lacking[what] = self._lacking.get(what, 0) + 1

    def _library(self, signature: Json) -> Library:
        name = signature["lib"]
        return self._libraries.get(name) or Library(name, plugin=name)

    def _span(self, number: int, name: str, kind: Kind, times: tuple[float, float], attributes: Attributes) -> Json:
        offset, duration = times
        start = self._start + _nanoseconds(offset)
        ids = self._id(number), self._id(0) if number else None
        return lane_span(self._lane, ids, name, kind, (start, start + _nanoseconds(duration)), attributes)

    def _id(self, number: int) -> str:
        return hashlib.sha256(f"{self._session['id']} {number}".encode()).hexdigest()[:16]

    def _entry(self) -> Json:
        request, response = self._cassette["request"], self._cassette["response"]
        method, route = request["method"], request.get("route_template") or request["path"]
        query = urlencode(request.get("query") or {}, doseq=True, quote_via=quote)
        incomplete = []
        attributes: Attributes = {
            names.HTTP_METHOD: method,
            names.HTTP_TARGET: quote(request["path"], safe="/%:@!$&'()*+,;=~-._") + (f"?{query}" if query else ""),
            "http.route": route,
            names.HTTP_STATUS: response["status"],
            names.HTTP_STATUS_LINE: str(response["status"]),
            **names.encode_headers(names.HTTP_REQUEST_HEADERS, _headers(request, None)),
        }
        if (sent := _body(request.get("body"), empty=not _length(request))) is None:
            incomplete.append("request")
            self._lacks("the body of the request was not kept: to be replayed, it must be sent by hand")
        else:
            attributes |= names.encode_payload(names.HTTP_REQUEST_BODY, sent)
        answered = _body(response.get("body"), empty=response["status"] in _NO_BODY or _length(response) == 0)
        attributes |= names.encode_headers(names.HTTP_RESPONSE_HEADERS, _headers(response, answered))
        if answered is None:
            incomplete.append("response")
            self._lacks("the body of the response was not kept: --verify compares the rest")
        else:
            attributes |= names.encode_payload(names.HTTP_RESPONSE_BODY, answered)
        for side in (request, response):
            if _REDACTED in json.dumps((side.get("body") or {}).get("data")):
                self._lacks(f"values were taken out of a body before it was kept: {_REDACTED} stands for them")
        if incomplete:
            attributes[names.INCOMPLETE] = ",".join(incomplete)
        span = self._span(0, f"{method} {route}", Kind.SERVER, (0, response.get("duration_ms") or 0), attributes)
        return self._with_error(span)

    def _with_error(self, span: Json) -> Json:
        """The exception that the app raised, as OpenTelemetry records it: an event."""
        info = self._cassette.get("error_info")
        if not info:
            return span
        found = {"type": info.get("type"), "message": info.get("message"), "stacktrace": info.get("traceback")}
        attributes = {f"exception.{name}": str(value) for name, value in found.items() if value}
        event = {
            "name": "exception",
            "timeUnixNano": span["endTimeUnixNano"],
            "attributes": names_and_values(attributes),
        }
        return {**span, "events": [event], "status": {"code": _ERROR_STATUS}}

    def _call(self, event: Json) -> Json:
        times = event.get("start_offset_ms") or 0, event.get("duration_ms") or 0
        signature, result = event["signature"], event["result"]
        is_http = event["type"] == "http.client"
        attributes = self._http(signature, result) if is_http else self._other(event)
        name = signature["method"] if is_http else f"{signature['lib']} {signature['method']}"
        span = self._span(int(event["eid"]), name, Kind.CLIENT, times, attributes)
        return {**span, "status": {"code": _ERROR_STATUS}} if result.get("error") else span

    def _http(self, signature: Json, result: Json) -> Attributes:
        url, query = signature["url"] or "", urlencode(signature.get("query") or {}, doseq=True, quote_via=quote)
        library = self._library(signature)
        attributes: Attributes = {
            names.PLUGIN: library.plugin,
            names.IMPORTED: "timetracer 1.x",
            names.HTTP_METHOD: signature["method"],
            "url.full": url + (f"{'&' if '?' in url else '?'}{query}" if query else ""),
            **names.encode_headers(names.HTTP_REQUEST_HEADERS, []),
            names.INCOMPLETE: "request",
        }
        if signature.get("body_hash"):
            attributes[names.IMPORTED_BODY] = signature["body_hash"]
        if result.get("error") or not result.get("status"):
            kind, text = result.get("error_type") or "Exception", result.get("error") or ""
            error = {"type": f"{library.errors}.{kind}", "args": [text]}
            return attributes | {names.ERROR: json.dumps(error), "timetracer.http.error.phase": "connect"}
        empty = signature["method"] == "HEAD" or result["status"] in _NO_BODY or _length(result) == 0
        body = _body(result.get("body"), empty=empty)
        attributes |= {
            names.HTTP_STATUS: result["status"],
            names.HTTP_STATUS_LINE: f"{result['status']} ",
            **names.encode_headers(names.HTTP_RESPONSE_HEADERS, _headers(result, body)),
        }
        if body is None:
            attributes[names.IMPORTED_LACKS] = "the body of the response"
            self._lacks(f"{signature['method']} {url}: the body of the response was not kept, so a replay misses here")
            return attributes
        if _REDACTED in json.dumps((result.get("body") or {}).get("data")):
            self._lacks(f"{signature['method']} {url}: {_REDACTED} stands for values of the response")
        return attributes | names.encode_payload(names.HTTP_RESPONSE_BODY, body)

    def _other(self, event: Json) -> Attributes:
        """A call to a database: what is known of it, and no payload that would answer one."""
        signature = event["signature"]
        what = " ".join(filter(None, (signature["lib"], signature["method"], signature.get("url"))))
        self._lacks(f"{what}: 1.x keeps no documents, rows or values, so a replay misses here")
        attributes: Attributes = {
            names.IMPORTED: "timetracer 1.x",
            names.IMPORTED_LACKS: "what was sent and received",
            "db.system.name": self._library(signature).system or signature["lib"],
            "db.operation.name": signature["method"],
        }
        if signature.get("url"):
            attributes["db.query.summary"] = signature["url"]
        return attributes


def _length(message: Json) -> int | None:
    """Give the number in Content-Length; None without one."""
    found = next((value for name, value in _pairs_of(message) if name.lower() == "content-length"), None)
    return int(found) if found is not None and found.isdecimal() else None


def _pairs_of(message: Json) -> list[tuple[str, str]]:
    return [(str(name), str(value)) for name, value in (message.get("headers") or {}).items()]


def _headers(message: Json, body: bytes | None) -> list[tuple[str, str]]:
    """The headers, those about the body's form made true of it."""
    pairs = [(name, value) for name, value in _pairs_of(message) if body is None or name.lower() not in _CODINGS]
    if body is None:
        return pairs
    return [(name, str(len(body)) if name.lower() == "content-length" else value) for name, value in pairs]


def _body(snapshot: Json | None, *, empty: bool) -> bytes | None:
    """The bytes of a body; None when they were not kept.

    Args:
        snapshot: as it was kept, None when nothing was.
        empty: whether there was none, as far as the rest of the message tells.
    """
    if not snapshot or snapshot.get("size_bytes") == 0:
        return b"" if empty or snapshot else None
    if "data" not in snapshot or not snapshot.get("_captured", True) or snapshot.get("truncated"):
        return None
    data = snapshot["data"]
    candidates = _spellings(data) if snapshot.get("encoding") == "json" else iter([_plain(snapshot)])
    wanted, first = snapshot.get("hash"), b""
    for number, candidate in enumerate(candidates):
        if wanted == "sha256:" + hashlib.sha256(candidate).hexdigest():
            return candidate
        first = first if number else candidate
    return first


def _plain(snapshot: Json) -> bytes:
    data = str(snapshot["data"])
    return base64.b64decode(data, validate=True) if snapshot.get("encoding") == "base64" else data.encode("utf-8")


def _spellings(value: Any) -> Iterator[bytes]:
    """Ways to write a JSON value, as libraries do; the first is the shortest."""
    for indent in (None, 2, 4):
        for separators in ((",", ":"), (", ", ": ")):
            for ascii_only in (False, True):
                text = json.dumps(value, indent=indent, separators=separators, ensure_ascii=ascii_only)
                for end in ("", "\n"):
                    yield (text + end).encode("utf-8", "surrogatepass")
