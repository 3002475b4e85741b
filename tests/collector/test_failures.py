"""The collector is killed, restarted, or not there: nothing is lost that is not counted, and the app goes on."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from examples.support import free_port
from tests.collector.conftest import CONFIGURATION, Collector, uncommented
from tests.collector.recording import ask, loaded, serving
from timetracer_otel import spans

pytestmark = pytest.mark.system

_BEFORE, _MEANWHILE, _AFTER = 60, 40, 60
_OFTEN = {"OTEL_BSP_SCHEDULE_DELAY": "100", "OTEL_EXPORTER_OTLP_TIMEOUT": "2"}
"""Small batches, given up soon."""


@pytest.mark.parametrize("protocol", ["grpc", "http/protobuf"])
def test_killed_and_restarted(
    collector: Callable[..., Collector], mongo_uri: str, tmp_path: Path, protocol: str
) -> None:
    """What was acknowledged before a kill -9 is readable, later requests too; what is missing was counted."""
    one, log = collector(), tmp_path / "app.log"
    with serving({**one.settings(protocol), **_OFTEN, "MONGODB_URI": mongo_uri}, log) as port:
        for number in range(_BEFORE):
            assert ask(port, "POST", f"/blob/{number}", b"x" * 50_000)[0] == 200
        one.kill()
        for number in range(_BEFORE, _BEFORE + _MEANWHILE):
            assert ask(port, "POST", f"/blob/{number}", b"x" * 50_000)[0] == 200
        _wait_for(log, "were not delivered by")
        one.start()
        for number in range(_BEFORE + _MEANWHILE, _BEFORE + _MEANWHILE + _AFTER):
            assert ask(port, "POST", f"/blob/{number}", b"x" * 50_000)[0] == 200
    one.stop()
    found = {lane.entry.text(spans.HTTP_TARGET) for lane in loaded([one.files]).lanes if lane.entry is not None}
    said = log.read_text()
    lost = int(_told(r"recording was delivered: (\d+) span\(s\) that the exporter could not deliver", said))
    missing = _BEFORE + _MEANWHILE + _AFTER - len(found)
    assert f"/blob/{_BEFORE + _MEANWHILE + _AFTER - 1}" in found
    assert 0 < missing <= lost
    assert said.count("were not delivered by") == said.count("delivers again, after")


def test_not_there(mongo_uri: str, tmp_path: Path) -> None:
    """Without a collector the app answers as ever; the log says in two lines what was lost."""
    log = tmp_path / "app.log"
    nowhere = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{free_port()}",
        "OTEL_METRICS_EXPORTER": "none",
        "OTEL_LOGS_EXPORTER": "none",
        "TIMETRACER_MODE": "record",
    }
    with serving({**nowhere, **_OFTEN, "MONGODB_URI": mongo_uri}, log) as port:
        for _ in range(20):
            assert ask(port, "POST", "/echo", b"x" * 1_000_000) == (200, b"x" * 1_000_000)
    said = [line for line in log.read_text().splitlines() if "timetracer:" in line]
    assert len(said) == 2, said
    assert "were not delivered by opentelemetry.exporter.otlp.proto.grpc" in said[0]
    assert "not all of the recording was delivered" in said[1]


def test_tail_sampling(collector: Callable[..., Collector], mongo_uri: str, tmp_path: Path) -> None:
    """With the selection in force, requests that failed are kept with all their spans, and the others are not."""
    configuration = uncommented(CONFIGURATION.read_text(encoding="utf-8"), "file/selected:", "traces/selected:")
    one = collector(configuration, OTELCOL_DECISION_WAIT="1s", OTELCOL_SAMPLE_PERCENT="0")
    with serving({**one.settings("grpc"), **_OFTEN, "MONGODB_URI": mongo_uri}, tmp_path / "app.log") as port:
        for number in range(20):
            ask(port, "POST", f"/blob/{number}", b"x" * 1000)
        assert ask(port, "GET", "/fail")[0] == 500
    one.stop()
    everything, selected = loaded([one.files / "otlp"]), loaded([one.files / "selected"])
    assert len(everything.lanes) == 21
    assert [lane.entry.text(spans.HTTP_TARGET) for lane in selected.lanes if lane.entry is not None] == ["/fail"]


def _told(pattern: str, text: str) -> str:
    found = re.search(pattern, text)
    assert found is not None, text
    return found[1]


def _wait_for(log: Path, words: str) -> None:
    deadline = time.monotonic() + 30
    while words not in log.read_text():
        assert time.monotonic() < deadline, log.read_text()
        time.sleep(0.05)
