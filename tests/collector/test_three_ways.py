"""One recording by three ways, cassette files, a collector's JSON and its compressed protobuf, replays the same."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from examples.asking import WebApp
from examples.cases import CHECKOUT, SHOP
from examples.support import MongoServer, Program, free_port
from tests.collector.conftest import CONFIGURATION, Collector
from tests.collector.recording import INSTRUMENTED, loaded
from tests.support.commands import REPLAY
from timetracer_otel import spans
from timetracer_otel.cassette.model import Lane

pytestmark = pytest.mark.system

_PAYLOADS = (
    spans.REQUEST,
    spans.RESPONSE,
    spans.HTTP_REQUEST_BODY,
    spans.HTTP_RESPONSE_BODY,
    spans.DRAWS,
)
_JSON = """
  file/json:
    path: ${env:TIMETRACER_DIR:-./cassettes}/json/traces.json
    create_directory: true
"""


def _configuration() -> str:
    text = CONFIGURATION.read_text(encoding="utf-8")
    text = text.replace("\nexporters:\n", "\nexporters:" + _JSON, 1)
    return text.replace("exporters: [file]\n", "exporters: [file, file/json]\n", 1)


def _record(example: WebApp, env: dict[str, str], log: Path) -> None:
    port = free_port()
    with ExitStack() as stack:
        for peer in example.peers:
            command = [sys.executable, "-m", *peer.command, "--port", str(peer.port)]
            env = {**env, peer.variable: peer.url}
            started = Program(command, log=log, env=dict(os.environ), cwd=example.folder)
            stack.enter_context(started).wait_for_port(peer.port)
        command = [*INSTRUMENTED, sys.executable, "-m", *example.command, "--port", str(port)]
        program = stack.enter_context(Program(command, log=log, env=os.environ | env, cwd=example.folder))
        program.wait_for_port(port)
        for ask in example.asks:
            assert ask.send(port).status == ask.status
        program.send(signal.SIGINT)
        program.wait()


def _verified(example: WebApp, cassette: Path, report: Path) -> Any:
    """What a verification reports, without times and the files that it read."""
    command = [*REPLAY, str(cassette)]
    peers = {peer.variable: peer.url for peer in example.peers}
    done = subprocess.run(
        [*command, "--verify", "--report", str(report), "--", sys.executable, "-m", *example.command],
        cwd=example.folder,
        env={**os.environ, **peers, "MONGODB_URI": "mongodb://127.0.0.1:9/", "FLASK_RUN_PORT": str(free_port())},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return _told(json.loads(report.read_text()))


def _told(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _told(item) for key, item in value.items() if key not in {"file", "seconds", "sending_seconds"}}
    return [_told(item) for item in value] if isinstance(value, list) else value


def _calls(lanes: Sequence[Lane]) -> dict[str, list[dict[str, object]]]:
    """The spans of each lane as a replay has them: identity, times, and every attribute with its payloads whole."""
    return {
        lane.id: [
            {"id": span.span_id, "parent": span.parent_id, "name": span.name, "start": span.start, **span.attributes}
            for span in lane.spans
            if any(span.payload(name) is not None for name in _PAYLOADS)
        ]
        for lane in lanes
    }


def _payloads(lanes: dict[str, list[dict[str, object]]]) -> dict[str, list[tuple[object, ...]]]:
    return {
        lane: [(span["id"], span["start"], *(span.get(name) for name in _PAYLOADS)) for span in found]
        for lane, found in lanes.items()
    }


@pytest.mark.parametrize("example", [SHOP, CHECKOUT], ids=["shop", "checkout"])
def test_replays_the_same(collector: Callable[..., Collector], tmp_path: Path, example: WebApp) -> None:
    """Each way verifies without a difference, and the reports say the same of the same requests."""
    one, direct = collector(_configuration()), tmp_path / "direct"
    ways = {"TIMETRACER_FILES": "1", "TIMETRACER_SPAN_PAYLOADS": "1", "TIMETRACER_DIR": str(direct)}
    with MongoServer() as server:
        env = {**one.settings("grpc"), **ways, "MONGODB_URI": server.uri}
        _record(example, env, tmp_path / "app.log")
    one.stop()
    places = (direct, one.files / "json", one.files / "otlp")
    files, plain, compressed = (_calls(loaded([place]).lanes) for place in places)
    assert plain == compressed
    assert _payloads(files) == _payloads(plain)
    reports = [_verified(example, place, tmp_path / "report.json") for place in places]
    assert reports[0]["requests"] == len(example.asks)
    assert reports[0] == reports[1] == reports[2]
