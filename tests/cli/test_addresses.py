"""Addresses that somebody typed, or that a hostile peer had: no URL is ever a traceback."""

from __future__ import annotations

from pathlib import Path

import pytest
from opentelemetry.trace import SpanKind

from tests.cli.conftest import Recording
from timetracer_otel import spans
from timetracer_otel.cassette import loading
from timetracer_otel.cassette.urls import split
from timetracer_otel.cli import requests, side_by_side
from timetracer_otel.cli.export import otlp, writing
from timetracer_otel.errors import ConfigError
from timetracer_otel.replay.verifying.client import parse_url

NO_URLS = ["http://[::1", "[::1", "http://host:99999", "http://host:port", "ftp://host", "http://", ""]


def recorded(folder: Path, host: str, asked: str = "") -> Path:
    """A request that came with a Host header, and asked some address."""
    recording = Recording()
    entry = recording.entry("GET", "/x", 200, request=b"", response=b"", headers=[("Host", host)])
    if asked:
        attributes = {spans.PLUGIN: "requests", spans.HTTP_METHOD: "GET", "url.full": asked}
        recording.span("GET", SpanKind.CLIENT, attributes, parent=entry)
    return recording.write(folder / "lane.jsonl")


@pytest.mark.parametrize("url", NO_URLS)
def test_a_place_to_send_to_must_be_a_url(url: str) -> None:
    """What is none is named."""
    with pytest.raises(ConfigError, match="give http://HOST:PORT"):
        parse_url(url)


def test_places_to_send_to() -> None:
    """Scheme and port may be left out."""
    assert [str(parse_url(url)) for url in ("[::1]:81", "http://host", "host:5000")] == [
        str(parse_url(url)) for url in ("http://[::1]:81", "http://host:80", "http://host:5000/")
    ]


@pytest.mark.parametrize("url", NO_URLS)
def test_an_endpoint_must_be_a_url(url: str) -> None:
    """Likewise for what takes OTLP."""
    with pytest.raises(ConfigError, match="no endpoint of OTLP/HTTP"):
        otlp.send([], url)


@pytest.mark.parametrize("form", requests.FORMS.values(), ids=requests.FORMS)
@pytest.mark.parametrize(("host", "url"), [*(("shop", url) for url in NO_URLS), ("[", None), ("a:b", None)])
def test_a_request_is_printed_for_a_server_only(
    form: requests.Form, host: str, url: str | None, tmp_path: Path
) -> None:
    """Neither for what somebody typed nor for a Host header that is no host."""
    lane = loading.load([recorded(tmp_path, host)]).lanes[0]
    with pytest.raises(ConfigError, match="is no URL of a server"):
        requests.printed(lane, form, url)


def test_a_program_asks_by_tls_where_the_url_says_so(tmp_path: Path) -> None:
    """The scheme and the path before the target are those of --url."""
    lane = loading.load([recorded(tmp_path, "shop")]).lanes[0]
    printed = requests.printed(lane, requests.FORMS["python"], "https://shop.example/base/")
    assert "HTTPSConnection('shop.example')" in printed
    assert "'/base/x'" in printed


@pytest.mark.parametrize("asked", ["http://[", "http://host:port/x", "not a url", "//"])
@pytest.mark.parametrize(("form", "to"), [("har", "x.har"), ("v1", "v1"), ("pytest", "test_x.py")])
def test_recorded_addresses_need_not_be_urls(form: str, to: str, asked: str, tmp_path: Path) -> None:
    """An export keeps them as they are."""
    writing.export(form, [recorded(tmp_path, "[", asked)], str(tmp_path / to), None, "app:app")


def test_what_is_no_url_is_a_path() -> None:
    """Nothing of it is lost."""
    assert split("http://[").geturl() == "http://["
    assert split("http://a:1/b?c#d").port == 1


def test_a_har_file_goes_into_a_folder_that_is_there(tmp_path: Path) -> None:
    """As a bundle does: a misspelt folder is no new one."""
    with pytest.raises(ConfigError, match="there is no directory"):
        writing.export("har", [recorded(tmp_path, "shop")], str(tmp_path / "missing" / "x.har"), None, "")


@pytest.mark.parametrize("text", ["-5%", "1e999%", "nan%", "inf%", "%", "x%"])
def test_a_share_is_a_number(text: str) -> None:
    """A share that nothing can be above, or everything is, is a typing error."""
    with pytest.raises(ConfigError, match="a share such as 20%"):
        side_by_side.threshold(text)
