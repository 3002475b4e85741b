"""``timetracer export``: cassettes in the forms of other tools."""

from __future__ import annotations

import ast
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from opentelemetry.trace import SpanKind

from tests.cli.conftest import MS, Command, Recording
from timetracer_otel import spans
from timetracer_otel.cassette import loading
from timetracer_otel.cli.export import writing
from timetracer_otel.errors import CassetteError, ConfigError


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A request that asked an HTTP peer and a database."""
    recording = Recording(0xABC)
    entry = recording.entry(
        "POST", "/pay?id=1&id=2", 201, request=b'{"a":1}', response=b"\xff\x00", headers=[("Host", "shop.example")]
    )
    asked = {
        spans.PLUGIN: "requests",
        spans.HTTP_METHOD: "PUT",
        "url.full": "http://bank.example/charge?n=1",
        spans.HTTP_STATUS_LINE: "202 Accepted",
        **spans.encode_headers(spans.HTTP_REQUEST_HEADERS, [("Content-Type", "application/json")]),
        **spans.encode_headers(spans.HTTP_RESPONSE_HEADERS, [("Content-Type", "application/json")]),
        **spans.encode_payload(spans.HTTP_REQUEST_BODY, b'{"n": 1}'),
        **spans.encode_payload(spans.HTTP_RESPONSE_BODY, b'{"ok": true}'),
    }
    recording.span("PUT", SpanKind.CLIENT, asked, parent=entry, offset=MS, duration=2 * MS)
    recording.call(entry, {"find": "users", "$db": "shop"}, {"ok": 1.0}, offset=5 * MS)
    return recording.write(tmp_path / "lane.jsonl")


def test_har_has_what_was_served_and_asked(file: Path, tmp_path: Path) -> None:
    """Both exchanges with headers, bodies and times; a binary body as base64; no call to a database."""
    writing.export("har", [file], str(tmp_path / "x.har"), None, "")
    log = json.loads((tmp_path / "x.har").read_bytes())["log"]
    served, asked = log["entries"]
    assert [page["title"] for page in log["pages"]] == ["POST http://shop.example/pay?id=1&id=2"]
    assert served["request"]["postData"]["text"] == '{"a":1}'
    assert served["request"]["queryString"] == [{"name": "id", "value": "1"}, {"name": "id", "value": "2"}]
    assert served["response"]["content"] | {"mimeType": ""} == {
        "size": 2,
        "mimeType": "",
        "text": "/wA=",
        "encoding": "base64",
    }
    assert [asked["request"]["url"], asked["time"]] == ["http://bank.example/charge?n=1", 2.0]
    assert [asked["response"]["status"], asked["response"]["statusText"]] == [202, "Accepted"]


def test_version_1_comes_back_by_import(file: Path, tmp_path: Path, timetracer: Command) -> None:
    """What 1.x has a form for is the same after an export and an import."""
    assert timetracer("export", "v1", file, "-o", tmp_path / "v1").returncode == 0
    (written,) = (tmp_path / "v1").glob("*/*.json")
    document = json.loads(written.read_bytes())
    assert [event["type"] for event in document["events"]] == ["http.client", "db.query"]
    ours = json.loads((Path(__file__).parents[1] / "cassette" / "version1" / "flask-mongo.json").read_bytes())
    for part in ("policies", "stats", "session"):  # 1.x itself reads what has their form
        assert {name: type(value) for name, value in document[part].items()} == {
            name: type(value) for name, value in ours[part].items()
        }
    assert document["policies"].keys() == ours["policies"].keys()
    timetracer("import", written, "--to", tmp_path / "back")
    (back,) = loading.load_alone((tmp_path / "back").glob("*/*/*.jsonl")).lanes
    entry, call = back.entry, back.calls[0]
    assert entry is not None
    assert entry.payload(spans.HTTP_REQUEST_BODY) == b'{"a":1}'
    assert entry.payload(spans.HTTP_RESPONSE_BODY) == b"\xff\x00"
    assert [entry.attributes[spans.HTTP_TARGET], entry.attributes[spans.HTTP_STATUS]] == ["/pay?id=1&id=2", 201]
    assert call.attributes["url.full"] == "http://bank.example/charge?n=1"
    assert call.payload(spans.HTTP_RESPONSE_BODY) == b'{"ok": true}'


class _Receiver(BaseHTTPRequestHandler):
    got: list[tuple[str, bytes]]
    status = 200

    def do_POST(self) -> None:
        self.got.append((self.path, self.rfile.read(int(self.headers["Content-Length"]))))
        self.send_response(self.status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def receiver() -> Iterator[tuple[str, type[_Receiver]]]:
    """An OTLP endpoint, and what it got."""
    handler = type("Handler", (_Receiver,), {"got": []})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}", handler
        server.shutdown()
        thread.join()


def test_otlp_gets_the_messages_as_they_are(file: Path, receiver: tuple[str, type[_Receiver]]) -> None:
    """Each line is one export; a refusal is told; where nobody listens is told too."""
    url, handler = receiver
    assert writing.export("otlp", [file], url, None, "") == f"{url}: 1 messages sent"
    ((path, body),) = handler.got
    assert (path, json.loads(body)) == ("/v1/traces", json.loads(file.read_bytes()))
    handler.status = 413
    with pytest.raises(ConfigError, match=r"refused .* bytes: 413"):
        writing.export("otlp", [file], url, None, "")
    with pytest.raises(ConfigError, match="no endpoint of OTLP/HTTP"):
        writing.export("otlp", [file], "collector:4318", None, "")
    empty = file.with_name("empty.jsonl")
    empty.touch()
    with pytest.raises(CassetteError, match="nothing was sent"):
        writing.export("otlp", [empty], url, None, "")


def test_a_test_is_written_with_its_cassette(file: Path, tmp_path: Path) -> None:
    """A marked test that sends the request to the app that was named, and the cassette where the plugin looks."""
    target = tmp_path / "tests" / "test_pay.py"
    writing.export("pytest", [file], str(target), None, "shop.main:application")
    text = target.read_text(encoding="utf-8")
    (function,) = [one for one in ast.parse(text).body if isinstance(one, ast.FunctionDef)]
    assert "from shop.main import application" in text
    assert "@pytest.mark.timetracer\n" in text
    assert "assert response.status_code == 201" in text
    assert r"assert response.data == b'\xff\x00'" in text
    cassette = tmp_path / "tests" / "cassettes" / "test_pay" / f"{function.name}.jsonl"
    assert [lane.id for lane in loading.load_alone([cassette]).lanes] == [f"{0xABC:032x}"]


def test_wrong_wishes_are_told(file: Path, tmp_path: Path, timetracer: Command) -> None:
    """Exit status 2 and one line: no place, no app, no lane, no name of a test."""
    for arguments, told in [
        (["har", file], "has no place to write to: add -o requests.har"),
        (["pytest", file, "-o", tmp_path / "test_x.py", "--app", "no app"], "give module:variable"),
        (["har", file, "-o", tmp_path / "x.har", "--lane", "fff"], "no lane to export"),
        (["pytest", file, "-o", tmp_path / "x.py"], "is no name that pytest finds"),
    ]:
        done = timetracer("export", *arguments)
        assert (done.returncode, done.stdout, len(done.stderr.splitlines())) == (2, "", 1)
        assert told in done.stderr
