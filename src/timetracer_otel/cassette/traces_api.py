"""One trace from a tracing backend, by its id.

``jaeger://host[:port][/base]/TRACE_ID`` asks Jaeger's query service, ``GET /api/v3/traces/{id}``: OTLP/JSON within
``{"result": …}`` (jaegertracing/jaeger v1.76.0, which is 2.13.0, cmd/query/app/apiv3/http_gateway.go; what a real one
answers is in tests/jaeger). Its older ``/api/traces/{id}`` cuts times to microseconds and turns lists into text, so it
is not used.

``tempo://host[:port][/base]/TRACE_ID`` asks Grafana Tempo, ``GET /api/v2/traces/{id}``: a protobuf message whose
field 1 is a TracesData and field 3 whether that is all of it (grafana/tempo, pkg/tempopb/tempo.proto,
TraceByIDResponse); where that is not served, ``GET /api/traces/{id}``: the TracesData alone.

``jaeger+https://`` and ``tempo+https://`` speak TLS.
"""

from __future__ import annotations

import base64
import http.client
import os
import re
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any, Final
from urllib.parse import unquote

import orjson

from timetracer_otel.cassette import files, protobuf
from timetracer_otel.cassette.decoding import Malformed
from timetracer_otel.cassette.framing import TracesMessage
from timetracer_otel.cassette.reading import document_spans, encoded
from timetracer_otel.cassette.urls import Url
from timetracer_otel.errors import CassetteError

__all__ = ["HEADERS", "SCHEMES", "TIMEOUT", "trace"]

HEADERS: Final = "TIMETRACER_BACKEND_HEADERS"
"""Variable with headers to send: ``name=value,name=value``, values percent-encoded, as OTEL_EXPORTER_OTLP_HEADERS."""
TIMEOUT: Final = 30.0
"""Seconds that a backend may be silent."""
_PORTS: Final = {"jaeger": 16686, "tempo": 3200}
SCHEMES: Final = ("jaeger", "jaeger+https", "tempo", "tempo+https")
_ID: Final = re.compile(r"[0-9a-fA-F]{1,32}")
_COMPLETE: Final = 0
"""PartialStatus of tempo.proto; 1 is partial."""
_LENGTH_DELIMITED: Final = 2
_NOT_FOUND: Final = 404
_OK: Final = 200
_PARTIAL: Final = 206

Json = dict[str, Any]


def trace(url: Url) -> bytes:
    """Ask for a trace.

    Args:
        url: with one of :data:`SCHEMES`.

    Returns:
        OTLP/JSON, on one line.

    Raises:
        CassetteError: the URL is no such one, the backend cannot be reached, refuses, has no such trace, or answers
            something else.
    """
    base, _, trace_id = url.path.rpartition("/")
    if not _ID.fullmatch(trace_id):
        raise CassetteError(
            f"ends in no trace id: give {url.scheme}://host[:port]/TRACE_ID, up to 32 hexadecimal digits", file=str(url)
        )
    ask = _from_jaeger if url.scheme.startswith("jaeger") else _from_tempo
    document = ask(url, base, trace_id.lower().zfill(32))
    if not document_spans(document, TracesMessage(1, b"", 0), str(url)):
        raise _absent(url)
    return encoded(document)


def _from_jaeger(url: Url, base: str, trace_id: str) -> Json:
    # Raw: without the query service's own corrections of clocks and ids.
    status, body, kind = _get(url, f"{base}/api/v3/traces/{trace_id}?raw_traces=true", "application/json")
    if status == _NOT_FOUND and "json" not in kind and not body.lstrip().startswith(b"{"):
        raise _unexpected(url, f"answers {_shown(body, kind)} to /api/v3: is this Jaeger's query service, of today?")
    if status == _NOT_FOUND:
        raise _absent(url)
    try:
        answer = orjson.loads(body)
        document = answer.get("result", answer)
        if not isinstance(document, dict) or "resourceSpans" not in document:
            raise ValueError("it has no resourceSpans")  # noqa: TRY301 - the one place that says so
    except (ValueError, AttributeError) as error:
        raise _unexpected(url, f"answers {_shown(body, kind)}, not OTLP in JSON ({error})") from error
    return document


def _from_tempo(url: Url, base: str, trace_id: str) -> Json:
    kind_wanted = "application/protobuf"
    status, body, kind = _get(url, f"{base}/api/v2/traces/{trace_id}", kind_wanted)
    try:
        traces = _of_response(body, url) if status == _OK and "protobuf" in kind else b""
        if not traces:
            status, traces, kind = _get(url, f"{base}/api/traces/{trace_id}", kind_wanted)
            if status == _NOT_FOUND:
                raise _absent(url)
        if "protobuf" not in kind:
            raise _unexpected(url, f"answers {_shown(traces, kind)}, not protobuf")
        return protobuf.document(traces)
    except (Malformed, IndexError) as error:
        raise _unexpected(url, f"answers what is no OTLP ({error})") from error


def _of_response(body: bytes, url: Url) -> bytes:
    """The TracesData in a TraceByIDResponse."""
    traces = b""
    for number, value in _fields(body):
        if number == 1 and isinstance(value, bytes):
            traces += value
        elif number == 3 and value != _COMPLETE:  # noqa: PLR2004 - field ``status``
            raise _unexpected(url, "has only a part of this trace within its limits: raise max_bytes_per_trace")
    return traces


def _fields(data: bytes) -> Iterator[tuple[int, bytes | int]]:
    """The fields of a protobuf message that are numbers or bytes (protobuf.dev, "Encoding")."""
    at = 0
    while at < len(data):
        tag, at = _varint(data, at)
        if tag & 7 == _LENGTH_DELIMITED:
            size, at = _varint(data, at)
            if at + size > len(data):
                raise Malformed("a field is cut short")
            yield tag >> 3, data[at : at + size]
            at += size
        elif tag & 7 == 0:
            value, at = _varint(data, at)
            yield tag >> 3, value
        else:
            at += {1: 8, 5: 4}.get(tag & 7, len(data))


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        value |= (byte & 0x7F) << shift
        at += 1
        if byte < 0x80:  # noqa: PLR2004 - the last byte has no continuation bit
            return value, at
        shift += 7


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A redirection leads to a login page, or would take our credentials elsewhere."""

    def redirect_request(self, *_arguments: Any) -> None:
        return None


def _get(url: Url, path: str, accept: str) -> tuple[int, bytes, str]:
    """Ask, and give status, body and content type of a success or a 404."""
    kind, _, secure = url.scheme.partition("+")
    host = url.host if secure or ":" in url.host.rpartition("]")[2] else f"{url.host}:{_PORTS[kind]}"
    request = urllib.request.Request(f"{secure or 'http'}://{host}{path}", headers=_headers(url, accept))  # noqa: S310 - http or https, as written here
    try:
        with urllib.request.build_opener(_NoRedirect).open(request, timeout=TIMEOUT) as response:
            return _read(url, response)
    except urllib.error.HTTPError as error:
        with error:
            if error.code == _NOT_FOUND:
                return _read(url, error)
            raise _refused(url, error) from None
    except http.client.IncompleteRead as error:
        raise _unexpected(url, f"ended its answer after {len(error.partial)} bytes: try again") from None
    except (OSError, http.client.HTTPException, ValueError) as error:
        reason = url.clean(str(getattr(error, "reason", None) or error) or type(error).__name__)
        raise CassetteError(f"cannot be reached ({reason}): check the address and the network", file=str(url)) from None


def _headers(url: Url, accept: str) -> dict[str, str]:
    headers = {"Accept": accept, "User-Agent": "timetracer-otel"}
    if url.login is not None:
        headers["Authorization"] = "Basic " + base64.b64encode(":".join(url.login).encode()).decode()
    for pair in filter(None, (one.strip() for one in os.environ.get(HEADERS, "").split(","))):
        name, found, value = pair.partition("=")
        if not found:
            raise CassetteError(f"{HEADERS} has an entry without `=`: give name=value,name=value")
        headers[name.strip()] = unquote(value.strip())
    return headers


def _read(url: Url, response: Any) -> tuple[int, bytes, str]:
    body = response.read(files.MAX_MESSAGE + 1)
    if len(body) > files.MAX_MESSAGE:
        raise _unexpected(url, f"answers more than {files.MAX_MESSAGE} bytes")
    if response.length:
        raise http.client.IncompleteRead(body)
    if response.status == _PARTIAL:
        raise _unexpected(url, "could read only a part of this trace (status 206): try again")
    return response.status, body, response.headers.get("content-type", "")


def _refused(url: Url, error: urllib.error.HTTPError) -> CassetteError:
    reasons = {
        401: f"asks for credentials: give user:password@ in the URL, or {HEADERS}",
        403: "refuses these credentials",
    }
    redirected = f"leads elsewhere, probably to a login page: give credentials in {HEADERS}"
    reason = reasons.get(error.code) or (redirected if error.code < 400 else _shown(error.read(400), ""))  # noqa: PLR2004 - 3xx
    return CassetteError(f"answers {error.code}: {reason}", file=str(url))


def _absent(url: Url) -> CassetteError:
    return CassetteError(
        "the backend has no such trace: check the id; it may have been sampled out, or be older than what is kept",
        file=str(url),
    )


def _unexpected(url: Url, text: str) -> CassetteError:
    return CassetteError(f"the backend {text}", file=str(url))


def _shown(body: bytes, kind: str) -> str:
    text = " ".join(body[:200].decode("utf-8", "replace").split())
    return "a web page" if "html" in kind or text.lower().startswith(("<!doctype", "<html")) else repr(text[:120])
