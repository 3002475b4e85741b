"""Cassettes of vcrpy as OTLP: one file is one lane, whose calls are its interactions.

A file is YAML or JSON, ``{"interactions": [{"request": …, "response": …}, …], "version": 1}``, whatever its name ends
in. A body is text or bytes, alone or under ``string``, or base64 under ``base64_string``; a header has a list of values
or one. vcrpy answers by method and URL, and so does a replay of what was imported.
"""

from __future__ import annotations

import base64
import hashlib
import io
import json
import re
import zlib
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from timetracer_otel import redaction
from timetracer_otel import spans as names
from timetracer_otel.cassette import files
from timetracer_otel.cassette.converted import lane_span, names_and_values
from timetracer_otel.cassette.decoding import shown
from timetracer_otel.cassette.model import Kind
from timetracer_otel.errors import CassetteError

__all__ = ["TOOL", "convert", "is_vcr", "title"]

Json = dict[str, Any]
Attributes = dict[str, Any]
Pairs = list[tuple[str, str]]

TOOL: Final = "vcrpy"
_BEGINS: Final = re.compile(
    rb'\s*(\{\s*("[^"]*"\s*:\s*("[^"]*"|[\d.]+)\s*,\s*)*"interactions"\s*:|(---\s*\n)?(\w+: .*\n)*interactions:)'
)
_ENDINGS: Final = (".yaml", ".yml", ".json")
_LONGEST: Final = 64 << 20
_MS: Final = 1_000_000


def is_vcr(path: Path) -> bool:
    """Whether a file looks like a cassette of vcrpy.

    Args:
        path: any file.
    """
    try:
        with files.opened(path) as stream:
            return _BEGINS.match(stream.read(4096)) is not None
    except CassetteError:
        return False


def title(path: Path) -> str:
    """Give the name of a cassette: its file's without the ending.

    Args:
        path: its file.
    """
    ending = next((one for one in _ENDINGS if path.name.lower().endswith(one)), "")
    return path.name[: len(path.name) - len(ending)] or path.name


def convert(path: Path, entry: Mapping[str, Any], plugin: str) -> Json:
    """Convert a cassette of vcrpy.

    Args:
        path: its file.
        entry: attributes of what made the calls, such as a test.
        plugin: the integration of a client of HTTP. Which one it was is not in a cassette, and does not count: any of
            them is answered.

    Returns:
        A ``TracesData`` as OTLP/JSON with one lane.

    Raises:
        CassetteError: it cannot be read, or is no such cassette.
    """
    with files.opened(path) as stream:
        data = stream.read(_LONGEST + 1)
    if len(data) > _LONGEST:
        raise CassetteError(f"is longer than the {_LONGEST >> 20} MiB that are read of a cassette of vcrpy", file=path)
    try:
        return _Conversion(path, _loaded(data, path), entry, plugin).result()
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
        reason = f"{type(error).__name__}: {error}"
        raise CassetteError(f"is no whole cassette of vcrpy ({shown(reason)})", file=path) from error


def _loaded(data: bytes, path: Path) -> Json:
    if data.lstrip()[:1] == b"{":
        with suppress(ValueError):
            found: Json = json.loads(data)
            return found
    try:
        import yaml  # noqa: PLC0415 - in no base install: only who moves from vcrpy needs it
    except ImportError:
        raise CassetteError(
            "is YAML, which needs PyYAML to be read: pip install 'timetracer-otel[vcr]'", file=path
        ) from None
    try:
        parsed: Json = yaml.load(io.BytesIO(data), Loader=_loader(yaml))  # noqa: S506 - derived from the safe loader
    except yaml.YAMLError as error:
        raise CassetteError(f"is no YAML that can be read ({_line(error)})", file=path) from error
    return parsed


def _line(error: Exception) -> str:
    return " ".join(str(error).split())


def _loader(yaml: Any) -> Any:
    """Give a safe loader that knows the few tags of Python which cassettes have: it makes texts, lists and bytes."""
    safe = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    loader: Any = type("CassetteLoader", (safe,), {})
    prefix = "tag:yaml.org,2002:python/"
    for name in ("str", "unicode"):
        loader.add_constructor(prefix + name, lambda made, node: made.construct_scalar(node))
    loader.add_constructor(prefix + "tuple", lambda made, node: made.construct_sequence(node))
    loader.add_constructor(prefix + "object/new:_io.BytesIO", _first("state"))
    loader.add_constructor(prefix + "object/apply:builtins.iter", _first("args"))
    return loader


def _first(name: str) -> Callable[[Any, Any], Any]:
    """What files and iterators were written as: their content is the first item of a list."""

    def construct(loader: Any, node: Any) -> Any:
        found = loader.construct_mapping(node, deep=True).get(name) or [b""]
        return found[0]

    return construct


class _Conversion:
    """One cassette, its ids made of its name: converting it twice gives the same."""

    def __init__(self, path: Path, cassette: Json, entry: Mapping[str, Any], plugin: str) -> None:
        self._plugin = plugin
        self._interactions: list[Json] = list(cassette["interactions"])
        self._name = title(path)
        self._entry = entry
        self._lane = hashlib.sha256(f"vcrpy {path.parent.name} {self._name}".encode()).hexdigest()[:32]
        self._start = int(path.stat().st_mtime) * 1_000_000_000

    def result(self) -> Json:
        calls = [self._call(number, one) for number, one in enumerate(self._interactions, start=1)]
        spans = [self._span(0, self._name, Kind.CONSUMER, dict(self._entry)), *calls]
        resource = {"service.name": "", names.SCHEMA: names.SCHEMA_VERSION, names.IMPORTED: TOOL}
        scopes = [{"scope": {"name": TOOL}, "spans": spans}]
        traces = {"resource": {"attributes": names_and_values(resource)}, "scopeSpans": scopes}
        return {"resourceSpans": [traces]}

    def _span(self, number: int, name: str, kind: Kind, attributes: Attributes) -> Json:
        start = self._start + number * _MS
        end = start + _MS if number else self._start + (len(self._interactions) + 2) * _MS
        ids = self._id(number), self._id(0) if number else None
        return lane_span(self._lane, ids, name, kind, (start, end), attributes)

    def _id(self, number: int) -> str:
        return hashlib.sha256(f"{self._lane} {number}".encode()).hexdigest()[:16]

    def _call(self, number: int, interaction: Json) -> Json:
        request, response = interaction["request"], interaction["response"]
        method, uri = str(request["method"]), str(request["uri"])
        sent = _bytes(request.get("body"))
        status, reason = _status(response)
        received = _bytes(response.get("content" if "status_code" in response else "body"))
        attributes: Attributes = {
            names.PLUGIN: self._plugin,
            names.IMPORTED: TOOL,
            names.HTTP_METHOD: method,
            "url.full": redaction.url(uri),
            names.INCOMPLETE: "request",  # of the headers that were sent a cassette has those that nobody filtered out
            **names.encode_headers(names.HTTP_REQUEST_HEADERS, redaction.headers(_pairs(request))),
            **names.encode_payload(names.HTTP_REQUEST_BODY, sent),
            names.HTTP_STATUS: status,
            names.HTTP_STATUS_LINE: f"{status} {reason}",
            **names.encode_headers(names.HTTP_RESPONSE_HEADERS, redaction.headers(_true(_pairs(response), received))),
            **names.encode_payload(names.HTTP_RESPONSE_BODY, received),
        }
        return self._span(number, method, Kind.CLIENT, attributes)


def _status(response: Json) -> tuple[int, str]:
    """Give status and reason; those of httpx stood by themselves once."""
    if "status_code" in response:
        return int(response["status_code"]), ""
    status = response["status"]
    return int(status["code"]), str(status.get("message") or "")


def _pairs(message: Json) -> Pairs:
    found: Pairs = []
    for name, values in (message.get("headers") or {}).items():
        found += [(_text(name), _text(value)) for value in (values if isinstance(values, list | tuple) else [values])]
    return found


def _text(value: object) -> str:
    return value.decode("latin-1") if isinstance(value, bytes) else str(value)


def _bytes(body: object) -> bytes:
    """Give the bytes of a body, in any of the forms that versions of vcrpy have written."""
    if isinstance(body, dict):
        if (encoded := body.get("base64_string")) is not None:
            return base64.b64decode(encoded)
        return _bytes(body.get("string"))
    if isinstance(body, list | tuple):
        return b"".join(map(_bytes, body))
    if body is None:
        return b""
    if isinstance(body, bytes | bytearray):
        return bytes(body)
    if isinstance(body, str):
        return body.encode("utf-8", "surrogateescape")
    raise TypeError(f"a body is {shown(body)}, neither text nor bytes")


def _true(headers: Pairs, body: bytes) -> Pairs:
    """Give the headers that are true of a body as it was kept: some clients' were kept decoded, and in one piece."""
    coding = next((value for name, value in headers if name.lower() == "content-encoding"), "").strip().lower()
    dropped = {"content-encoding"} if coding and not _is_coded(body, coding) else set()
    told = ((name, value) for name, value in headers if name.lower() not in dropped)
    return [(name, str(len(body)) if name.lower() == "content-length" and body else value) for name, value in told]


def _is_coded(body: bytes, coding: str) -> bool:
    """Whether a body is in the coding that its headers name."""
    if not body:
        return True
    if coding in {"gzip", "x-gzip"}:
        return body[:2] == b"\x1f\x8b"
    if coding == "zstd":
        return body[:4] == b"\x28\xb5\x2f\xfd"
    if coding == "deflate":
        return any(_inflates(body, bits) for bits in (zlib.MAX_WBITS, -zlib.MAX_WBITS))
    try:  # br has no mark; what reads as text is none
        body.decode("utf-8")
    except UnicodeDecodeError:
        return True
    return False


def _inflates(body: bytes, bits: int) -> bool:
    try:
        zlib.decompressobj(bits).decompress(body, 1)
    except zlib.error:
        return False
    return True
