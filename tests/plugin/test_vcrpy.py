"""Cassettes of vcrpy, imported, answer each client; a suite of pytest-recording moves with its cassettes."""

from __future__ import annotations

import asyncio
import base64
import gzip
import http.server
import json
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import aiohttp
import httpx
import pytest
import requests
import urllib3
import vcr
import yaml

from tests.plugin.suites import Suite
from timetracer_otel import ReplayMiss
from timetracer_otel.cassette import importing
from timetracer_otel.families.kinds import execution
from timetracer_otel.integrations import known_to_version1
from timetracer_otel.testing import Replaying, timetracer_replay

pytest_plugins = ["pytester"]

_PAGE = gzip.compress(b'{"page": "packed"}', mtime=0)


class _Various(http.server.BaseHTTPRequestHandler):
    """Answers with what is hard to keep: packed and binary bodies, repeated headers, redirects, nothing at all."""

    protocol_version = "HTTP/1.1"

    def _answer(self, status: int, body: bytes, *headers: tuple[str, str]) -> None:
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self) -> None:
        match self.path.partition("?")[0]:
            case "/packed":
                self._answer(200, _PAGE, ("Content-Encoding", "gzip"), ("Content-Type", "application/json"))
            case "/binary":
                self._answer(200, bytes(range(256)), ("Content-Type", "application/octet-stream"))
            case "/cookies":
                self._answer(200, b"two", ("Set-Cookie", "a=1"), ("Set-Cookie", "b=2"))
            case "/moved":
                self._answer(302, b"", ("Location", "/plain"))
            case "/missing":
                self._answer(404, b"not here")
            case "/nothing":
                self._answer(204, b"")
            case _:
                self._answer(200, f"plain {self.path}".encode(), ("Content-Type", "text/plain"))

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self._answer(201, b"got " + body, ("Content-Type", "text/plain"))

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@pytest.fixture
def various() -> Iterator[str]:
    """The URL of a server that answers in many ways."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Various) as listening:
        thread = threading.Thread(target=listening.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{listening.server_port}"
        listening.shutdown()
        thread.join()


Seen = list[tuple[int, bytes]]
_PATHS = ("/plain?b=2&a=1", "/packed", "/binary", "/cookies", "/moved", "/missing", "/nothing")


def _with_requests(url: str) -> Seen:
    with requests.Session() as session:
        found = [session.get(url + path) for path in _PATHS]
        found += [session.post(url + "/post", json={"n": n}) for n in (1, 2)]
        assert session.cookies.get_dict() == {"a": "1", "b": "2"}
    return [(one.status_code, one.content) for one in found]


def _with_httpx(url: str) -> Seen:
    with httpx.Client(follow_redirects=True) as client:
        found = [client.get(url + path) for path in _PATHS]
        found += [client.post(url + "/post", json={"n": n}) for n in (1, 2)]
    return [(one.status_code, one.content) for one in found]


def _with_urllib3(url: str) -> Seen:
    with urllib3.PoolManager() as pool:
        found = [pool.request("GET", url + path) for path in _PATHS]
        found += [pool.request("POST", url + "/post", json={"n": n}) for n in (1, 2)]
    assert found[3].headers.getlist("Set-Cookie") == ["a=1", "b=2"]
    return [(one.status, one.data) for one in found]


def _with_urllib(url: str) -> Seen:
    found: Seen = []
    for path in (path for path in _PATHS if path != "/missing"):
        with urllib.request.urlopen(url + path) as response:  # noqa: S310 - loopback
            found.append((response.status, response.read()))
    for n in (1, 2):
        with urllib.request.urlopen(url + "/post", data=b"%d" % n) as response:  # noqa: S310 - loopback
            found.append((response.status, response.read()))
    return found


def _with_aiohttp(url: str) -> Seen:
    async def ask() -> Seen:
        async with aiohttp.ClientSession() as session:
            found: Seen = []
            for path in _PATHS:
                async with session.get(url + path) as response:
                    found.append((response.status, await response.read()))
            for n in (1, 2):
                async with session.post(url + "/post", json={"n": n}) as response:
                    found.append((response.status, await response.read()))
            return found

    return asyncio.run(ask())


def _imported(*sources: Path, to: Path) -> importing.Imported:
    of_tests = execution.imported("pytest")
    return importing.import_all([str(one) for one in sources], to, to, "none", known_to_version1(), of_tests)


@pytest.mark.parametrize("client", [_with_requests, _with_httpx, _with_urllib3, _with_urllib, _with_aiohttp])
@pytest.mark.parametrize("decoded", [False, True], ids=["as-it-came", "decoded"])
def test_what_vcrpy_recorded_answers_each_client(
    client: Callable[[str], Seen], various: str, tmp_path: Path, *, decoded: bool
) -> None:
    """Status, body, repeated headers, redirects; packed bodies as they came, or as vcrpy had unpacked them."""
    recorder = vcr.VCR(decode_compressed_response=decoded)
    with recorder.use_cassette(str(tmp_path / "vcr" / "test_it.yaml")):
        client(various)
    with recorder.use_cassette(str(tmp_path / "vcr" / "test_it.yaml")):
        given_by_vcrpy = client(various)
    done = _imported(tmp_path / "vcr", to=tmp_path / "to")
    assert (done.lanes, done.left_out) == (1, [])
    with timetracer_replay(tmp_path / "to" / "test_it.jsonl", strict=True):
        assert client(various) == given_by_vcrpy


@pytest.mark.parametrize("other", [_with_httpx, _with_urllib3])
def test_another_client_than_the_recorded_one_is_answered(
    other: Callable[[str], Seen], various: str, tmp_path: Path
) -> None:
    """A cassette of vcrpy does not say which client it was."""
    with vcr.use_cassette(str(tmp_path / "vcr" / "test_it.yaml")):
        recorded = _with_requests(various)
    _imported(tmp_path / "vcr", to=tmp_path / "to")
    with timetracer_replay(tmp_path / "to" / "test_it.jsonl"):
        assert [status for status, _ in other(various)] == [status for status, _ in recorded]


def test_requests_to_one_url_are_told_apart_by_their_bodies(various: str, tmp_path: Path) -> None:
    """Whatever their order is now; one that nobody recorded is answered as vcrpy does, in order, and only once."""
    with vcr.use_cassette(str(tmp_path / "vcr" / "test_it.yaml")):
        for n in range(3):
            requests.post(various + "/post", json={"n": n}, timeout=60)
    _imported(tmp_path / "vcr", to=tmp_path / "to")

    def post(number: int) -> str:
        return requests.post(various + "/post", json={"n": number}, timeout=60).text

    with timetracer_replay(tmp_path / "to" / "test_it.jsonl"):
        assert [post(2), post(1), post(9)] == ['got {"n": 2}', 'got {"n": 1}', 'got {"n": 0}']
    tape = Replaying(tmp_path / "to" / "test_it.jsonl", "once too often")
    tape.begin()
    try:
        assert [post(n) for n in range(3)] == [f'got {{"n": {n}}}' for n in range(3)]
        with pytest.raises(ReplayMiss):
            post(0)
    finally:
        tape.end()
    assert "1 call not answered" in tape.problem()


def _interaction(body: object, **response: object) -> dict[str, object]:
    request = {"method": "GET", "uri": "http://api.invalid/", "body": None, "headers": {"Accept": ["*/*"]}}
    answered = {"status": {"code": 200, "message": "OK"}, "headers": {"X-Tag": ["a", "b"]}, "body": body, **response}
    return {"request": request, "response": answered}


_BODY = '{"name": "é"}'.encode()


@pytest.mark.parametrize(
    "interaction",
    [
        _interaction({"string": _BODY.decode()}),
        _interaction({"string": _BODY}),
        _interaction({"base64_string": base64.b64encode(_BODY).decode()}),
        _interaction(_BODY.decode()),
        _interaction({"string": _BODY}, headers={"Content-Encoding": "gzip", "Content-Length": "7"}),
        _interaction({"string": gzip.compress(_BODY)}, headers={"content-encoding": ["gzip"]}),
        _interaction(None, content=_BODY, status_code=200, headers={"x": "y"}, http_version="HTTP/1.1"),
    ],
    ids=["text", "bytes", "base64", "bare", "unpacked", "packed", "httpx-of-once"],
)
@pytest.mark.parametrize("write", [yaml.dump, json.dumps], ids=["yaml", "json"])
def test_every_form_of_a_body_is_read(
    interaction: dict[str, object], write: Callable[[object], str], tmp_path: Path
) -> None:
    """As versions of vcrpy and its serializers have written them."""
    try:
        text = write({"version": 1, "interactions": [interaction]})
    except TypeError:
        assert write is json.dumps  # which cannot hold bytes: vcrpy refuses to write them, too
        return
    (tmp_path / "test_it.yaml").write_text(text, encoding="utf-8")
    done = _imported(tmp_path / "test_it.yaml", to=tmp_path)
    assert (done.lanes, done.left_out) == (1, [])
    with timetracer_replay(tmp_path / "test_it.jsonl", strict=True):
        assert httpx.get("http://api.invalid/").json() == {"name": "é"}


@pytest.mark.parametrize(
    "text",
    [
        "interactions:\n- request: {method: GET}\n",
        "interactions:\n- 7\n",
        "interactions: 7\n",
        "interactions:\n- {\n",
        'interactions:\n- !!python/object/apply:os.system ["true"]\n',
        '{"interactions": [{"request": 1}]}',
        "interactions:\n" + "- " + "[" * 10_000,
    ],
)
def test_a_damaged_cassette_is_named_and_left_out(text: str, tmp_path: Path) -> None:
    """The others are taken; no object of Python is ever made."""
    (tmp_path / "vcr").mkdir()
    (tmp_path / "vcr" / "bad.yaml").write_text(text)
    (tmp_path / "vcr" / "good.yaml").write_text(yaml.dump({"interactions": [_interaction("good")], "version": 1}))
    done = _imported(tmp_path / "vcr", to=tmp_path / "to")
    assert done.lanes == 1
    (error,) = done.left_out
    assert "bad.yaml" in str(error)
    assert "vcrpy" in str(error) or "YAML" in str(error)


def test_secrets_of_a_cassette_are_not_carried_over(tmp_path: Path) -> None:
    """They are masked or sealed, as in every recording."""
    interaction: Any = _interaction("ok")
    interaction["request"]["headers"]["Authorization"] = ["Bearer s3cr3t-token"]
    interaction["request"]["uri"] += "?api_key=s3cr3t-key"
    (tmp_path / "test_it.yaml").write_text(yaml.dump({"interactions": [interaction], "version": 1}))
    _imported(tmp_path / "test_it.yaml", to=tmp_path)
    written = (tmp_path / "test_it.jsonl").read_text()
    assert "s3cr3t" not in written
    with timetracer_replay(tmp_path / "test_it.jsonl", strict=True):
        assert httpx.get("http://api.invalid/?api_key=s3cr3t-key").text == "ok"


def test_a_missing_pyyaml_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the extra that brings it; JSON needs none."""
    monkeypatch.setitem(sys.modules, "yaml", None)
    (tmp_path / "a.yaml").write_text("interactions: []\nversion: 1\n")
    (tmp_path / "b.json").write_text(json.dumps({"version": 1, "interactions": [_interaction("json")]}))
    done = _imported(tmp_path / "a.yaml", tmp_path / "b.json", to=tmp_path / "to")
    assert done.lanes == 1
    assert "pip install 'timetracer-otel[vcr]'" in str(done.left_out[0])


def test_a_suite_moves_with_its_cassettes(suite: Suite, various: str) -> None:
    """``timetracer import cassettes --to cassettes`` is all, beside another marker; a second time changes nothing."""
    folder = suite.path / "cassettes" / "test_it"
    for name, path in (("test_page[a-b].yaml", "/plain?page=a"), ("TestMore.test_more.yaml", "/packed")):
        with vcr.use_cassette(str(folder / name)):
            requests.get(various + path, timeout=60)
    suite.write(
        text=f"""
        import requests

        @pytest.mark.timetracer
        @pytest.mark.parametrize("name", ["a/b"])
        def test_page(name):
            assert requests.get({various!r} + "/plain?page=a").text == "plain /plain?page=a"

        @pytest.mark.timetracer
        class TestMore:
            def test_more(self):
                assert requests.get({various!r} + "/packed").json() == {{"page": "packed"}}
        """
    )
    command = [sys.executable, "-m", "timetracer_otel.cli", "import", "cassettes", "--to", "cassettes"]
    for said in ("2 lanes and 0 sessions imported", "0 lanes and 0 sessions imported, 2 were there already"):
        ended = subprocess.run(command, cwd=suite.path, check=True, capture_output=True, text=True, timeout=60)
        assert ended.stdout == f"cassettes: {said}\n"
    assert suite.cassettes() == ["test_it/TestMore.test_more.jsonl", "test_it/test_page[a-b].jsonl"]
    suite.run("--timetracer-mode=none", "--timetracer-strict").assert_outcomes(passed=2)
