"""Lanes as an HTTP archive (HAR 1.2), which browsers and HTTP tools open."""

from __future__ import annotations

from collections.abc import Iterable
from importlib import metadata
from typing import Any
from urllib.parse import parse_qsl

import pybase64

from timetracer_otel.cassette.model import Lane
from timetracer_otel.cassette.urls import split
from timetracer_otel.cli.export.exchanges import Exchange, all_of
from timetracer_otel.cli.summary import iso

__all__ = ["archive"]

Json = dict[str, Any]


def archive(lanes: Iterable[Lane]) -> Json:
    """Give the archive: what each lane served and what it asked for, each lane a page.

    Args:
        lanes: as loaded; calls that are no HTTP are left out.

    Raises:
        CassetteError: a payload was cut.
    """
    pages: list[Json] = []
    entries: list[Json] = []
    for lane in lanes:
        exchanges = list(all_of(lane))
        if exchanges:
            first = exchanges[0]
            title = f"{first.method} {first.url}"
            pages.append({"id": lane.id, "title": title, "startedDateTime": iso(first.span.start), "pageTimings": {}})
            entries += [_entry(lane, one) for one in exchanges]
    creator = {"name": "timetracer-otel", "version": metadata.version("timetracer-otel")}
    return {"log": {"version": "1.2", "creator": creator, "pages": pages, "entries": entries}}


def _entry(lane: Lane, exchange: Exchange) -> Json:
    took = exchange.duration_ms
    return {
        "pageref": lane.id,
        "startedDateTime": iso(exchange.span.start),
        "time": took,
        "request": _request(exchange),
        "response": _response(exchange),
        "cache": {},
        "timings": {"send": 0, "wait": took, "receive": 0},
        "comment": "asked for by the app" if exchange.span.is_call else "served by the app",
    }


def _request(exchange: Exchange) -> Json:
    body = exchange.request or b""
    request: Json = {
        "method": exchange.method,
        "url": exchange.url,
        "httpVersion": f"HTTP/{exchange.version}",
        "cookies": [],
        "headers": _pairs(exchange.request_headers),
        "queryString": _pairs(parse_qsl(split(exchange.url).query, keep_blank_values=True)),
        "headersSize": -1,
        "bodySize": len(body),
    }
    if body:
        request["postData"] = {"mimeType": _type(exchange.request_headers), **_text(body)}
    return request


def _response(exchange: Exchange) -> Json:
    body = exchange.response or b""
    return {
        "status": exchange.status,
        "statusText": exchange.reason,
        "httpVersion": f"HTTP/{exchange.version}",
        "cookies": [],
        "headers": _pairs(exchange.response_headers),
        "content": {"size": len(body), "mimeType": _type(exchange.response_headers), **_text(body)},
        "redirectURL": next((value for name, value in exchange.response_headers if name.lower() == "location"), ""),
        "headersSize": -1,
        "bodySize": len(body),
    }


def _pairs(pairs: Iterable[tuple[str, str]]) -> list[Json]:
    return [{"name": name, "value": value} for name, value in pairs]


def _type(headers: Iterable[tuple[str, str]]) -> str:
    return next((value for name, value in headers if name.lower() == "content-type"), "application/octet-stream")


def _text(body: bytes) -> Json:
    try:
        return {"text": body.decode()}
    except UnicodeDecodeError:
        return {"text": pybase64.b64encode_as_string(body), "encoding": "base64"}
