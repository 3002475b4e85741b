"""Recording without a change to the program, in every way that OpenTelemetry may be started."""

from __future__ import annotations

import base64
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from google.protobuf.json_format import MessageToJson
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tests.support.backends import Collector, collecting
from tests.support.commands import OTEL
from timetracer_otel import spans
from timetracer_otel.cassette import loading, model, storage
from timetracer_otel.errors import CassetteError

PROGRAM = Path(__file__).with_name("program.py")


def run(
    folder: Path, uri: str, *options: str, program: Path | None = None, **env: str
) -> subprocess.CompletedProcess[str]:
    """Run the program under opentelemetry-instrument; its cassettes are in ``folder / 'cassettes'``."""
    command = [*OTEL, *options, sys.executable, str(program or PROGRAM)]
    environ = {**os.environ, "MONGODB_URI": uri, **env}
    return subprocess.run(command, cwd=folder, env=environ, capture_output=True, text=True, timeout=60, check=False)


def load(folder: Path) -> model.Cassette:
    """Load everything that a run has recorded."""
    return loading.load(storage.find([str(folder / "cassettes")], folder))


def assert_recorded(folder: Path) -> model.Cassette:
    """One lane with its entry and its find, one session with the other find, each span once."""
    cassette = load(folder)
    (lane,), (session,) = cassette.lanes, cassette.sessions.values()
    assert lane.entry is not None
    assert lane.entry.payload(spans.HTTP_RESPONSE_BODY) == b'{"found":null}\n'
    assert [call.attributes[spans.PLUGIN] for call in lane.calls] == ["pymongo"]
    assert [call.attributes[spans.PLUGIN] for call in session.calls] == ["pymongo"]
    assert b"inside" in (lane.calls[0].payload(spans.REQUEST) or b"")
    assert b"outside" in (session.calls[0].payload(spans.REQUEST) or b"")
    return cassette


def test_the_exporter_option_is_all_it_takes(tmp_path: Path, mongo_uri: str) -> None:
    """``--traces_exporter timetracer`` records a lane and the session, and nothing is printed or slow at the end."""
    result = run(tmp_path, mongo_uri, "--traces_exporter", "timetracer")
    assert (result.returncode, result.stderr) == (0, "")
    cassette = assert_recorded(tmp_path)
    (session,) = cassette.sessions.values()
    own = next(span for span in session.spans if spans.SESSION_EXIT_STATUS in span.attributes)
    assert own.attributes[spans.SESSION_EXIT_STATUS] == 0


def test_a_missing_collector_neither_breaks_nor_loses(tmp_path: Path, mongo_uri: str) -> None:
    """With ``otlp,timetracer`` and nobody listening, the cassettes are whole and the program ends as ever."""
    result = run(
        tmp_path,
        mongo_uri,
        "--traces_exporter",
        "otlp,timetracer",
        OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:9",
        OTEL_EXPORTER_OTLP_TIMEOUT="1",
        OTEL_METRICS_EXPORTER="none",
        OTEL_LOGS_EXPORTER="none",
    )
    assert result.returncode == 0
    assert "inside" not in result.stderr
    assert_recorded(tmp_path)


@pytest.mark.parametrize("sampler", ["always_off", "parentbased_always_off", "traceidratio"])
def test_what_the_host_does_not_sample_is_recorded(tmp_path: Path, mongo_uri: str, sampler: str) -> None:
    """Head sampling of the host's telemetry does not lose lanes."""
    run(
        tmp_path, mongo_uri, "--traces_exporter", "timetracer", OTEL_TRACES_SAMPLER=sampler, OTEL_TRACES_SAMPLER_ARG="0"
    )
    assert_recorded(tmp_path)


def test_off_records_nothing(tmp_path: Path, mongo_uri: str) -> None:
    """``TIMETRACER_MODE=off`` wins over the exporter option."""
    result = run(tmp_path, mongo_uri, "--traces_exporter", "timetracer", TIMETRACER_MODE="off")
    assert (result.returncode, result.stderr) == (0, "")
    with pytest.raises(CassetteError):
        load(tmp_path)


@pytest.mark.parametrize("exporter", ["timetracer", "none"])
@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"TIMETRACER_SAMPLE_RATE": "lots"}, "TIMETRACER_SAMPLE_RATE='lots': must be a number from 0 to 1"),
        ({"TIMETRACER_MODE": "rubbish"}, "TIMETRACER_MODE='rubbish': must be one of off, record, replay"),
    ],
)
def test_a_wrong_setting_leaves_the_program_alone(
    exporter: str, settings: dict[str, str], reason: str, tmp_path: Path, mongo_uri: str
) -> None:
    """A setting that is wrong is named in one line with what it takes; the program runs without us."""
    environment = {"OTEL_METRICS_EXPORTER": "none", "OTEL_LOGS_EXPORTER": "none", **settings}
    result = run(tmp_path, mongo_uri, "--traces_exporter", exporter, program=None, **environment)
    assert (result.returncode, result.stderr) == (0, f"timetracer is off: {reason}\n")
    assert '{"found":null}' in result.stdout


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"TIMETRACER_CASSETTE": "cut.jsonl"}, "cut.jsonl, line 1"),
        ({"TIMETRACER_CASSETTE": "none.jsonl"}, "there is no file"),
        ({"TIMETRACER_CASSETTE": "cut.jsonl", "TIMETRACER_LIVE_PLUGINS": "sybase"}, "there is no integration 'sybase'"),
        ({"TIMETRACER_SAMPLE_RATE": "lots"}, "must be a number from 0 to 1"),
    ],
)
def test_a_replay_that_cannot_be_set_up_never_runs_live(
    tmp_path: Path, mongo_uri: str, settings: dict[str, str], reason: str
) -> None:
    """With a damaged or missing cassette or a wrong setting, the program does not start, and the status is 2."""
    (tmp_path / "cut.jsonl").write_bytes(b'{"resourceSpans":[')
    environ = {**os.environ, "MONGODB_URI": mongo_uri, "TIMETRACER_MODE": "replay", **settings}
    command = [*OTEL, "--traces_exporter", "none", sys.executable, str(PROGRAM)]
    result = subprocess.run(command, cwd=tmp_path, env=environ, capture_output=True, text=True, timeout=60, check=False)
    assert (result.returncode, result.stdout) == (2, "")
    assert reason in result.stderr


def test_another_distro_may_win(tmp_path: Path, mongo_uri: str) -> None:
    """A second distro that is found first configures its own way; the lanes are recorded all the same."""
    packages = tmp_path / "packages"
    info = packages / "aaa_distro-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: aaa-distro\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[opentelemetry_distro]\naaa = aaa_distro:Distro\n")
    (packages / "aaa_distro.py").write_text(
        "from opentelemetry.instrumentation.distro import BaseDistro\n"
        "class Distro(BaseDistro):\n"
        "    def _configure(self, **kwargs):\n"
        "        print('aaa')\n"
    )
    result = run(
        tmp_path, mongo_uri, "--traces_exporter", "timetracer", PYTHONPATH=str(packages), OTEL_PYTHON_DISTRO="aaa"
    )
    assert result.stdout.startswith("aaa")
    assert_recorded(tmp_path)


def test_hooks_of_the_user_stay(tmp_path: Path, mongo_uri: str) -> None:
    """Hooks passed to the instrumentor in the program are called, and the payloads are there as well."""
    program = tmp_path / "hooked.py"
    program.write_text(
        "from opentelemetry.instrumentation.pymongo import PymongoInstrumentor\n"
        "def hook(span, event):\n"
        "    span.set_attribute('mine', event.command_name)\n"
        "PymongoInstrumentor().instrument(request_hook=hook)\n" + PROGRAM.read_text()
    )
    disabled = "pymongo"
    result = run(
        tmp_path,
        mongo_uri,
        "--traces_exporter",
        "timetracer",
        program=program,
        OTEL_PYTHON_DISABLED_INSTRUMENTATIONS=disabled,
    )
    assert result.returncode == 0, result.stderr
    (lane,) = load(tmp_path).lanes
    assert {call.attributes.get("mine") for call in lane.calls} == {"find"}
    assert all(call.payload(spans.RESPONSE) for call in lane.calls)


def test_without_any_instrumentor_calls_are_still_recorded(tmp_path: Path, mongo_uri: str) -> None:
    """With the standard instrumentors disabled, spans of our own carry the payloads."""
    run(tmp_path, mongo_uri, "--traces_exporter", "timetracer", OTEL_PYTHON_DISABLED_INSTRUMENTATIONS="*")
    assert_recorded(tmp_path)


@pytest.mark.parametrize("how", ["install", "auto_setup", "middleware", "enable_pymongo"])
def test_recording_from_code(tmp_path: Path, mongo_uri: str, how: str) -> None:
    """``install()``, ``auto_setup(app)`` and the names of timetracer 1.x record without opentelemetry-instrument."""
    before = {
        "install": "import timetracer_otel\ntimetracer_otel.install()\n",
        "auto_setup": "",
        "middleware": "from timetracer_otel.plugins import enable_pymongo\nenable_pymongo()\n",
        "enable_pymongo": "from timetracer_otel.plugins import enable_pymongo\nenable_pymongo()\n",
    }[how]
    main = "\nif __name__"
    after = {
        "auto_setup": "\nfrom timetracer_otel.integrations.flask import auto_setup\nauto_setup(app)",
        "middleware": "\nfrom timetracer_otel.integrations.flask import TimeTracerMiddleware\n"
        "app.wsgi_app = TimeTracerMiddleware(app.wsgi_app)",
    }.get(how, "")
    program = tmp_path / "coded.py"
    program.write_text(before + PROGRAM.read_text().replace(main, after + main))
    result = subprocess.run(
        [sys.executable, str(program)],
        cwd=tmp_path,
        env={**os.environ, "MONGODB_URI": mongo_uri, "TIMETRACER_MODE": "record"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    cassette = load(tmp_path)
    (lane,) = cassette.lanes
    assert lane.entry is not None
    assert lane.entry.payload(spans.HTTP_RESPONSE_BODY) == b'{"found":null}\n'
    assert [b"inside" in (call.payload(spans.REQUEST) or b"") for call in lane.calls] == [True]


@pytest.fixture
def collector() -> Iterator[Collector]:
    """A running receiver."""
    with collecting() as server:
        yield server


def test_otlp_alone_carries_the_payloads(tmp_path: Path, mongo_uri: str, collector: Collector) -> None:
    """``--traces_exporter otlp`` with ``TIMETRACER_MODE=record``: whoever receives the spans has a cassette."""
    result = run(
        tmp_path,
        mongo_uri,
        "--traces_exporter",
        "otlp",
        TIMETRACER_MODE="record",
        OTEL_EXPORTER_OTLP_PROTOCOL="http/protobuf",
        OTEL_EXPORTER_OTLP_ENDPOINT=f"http://127.0.0.1:{collector.server_port}",
        OTEL_METRICS_EXPORTER="none",
        OTEL_LOGS_EXPORTER="none",
    )
    assert result.returncode == 0, result.stderr
    assert not (tmp_path / "cassettes").exists()
    (tmp_path / "cassettes").mkdir()
    write_as_collector(tmp_path / "cassettes" / "traces.jsonl", collector.received)
    assert_recorded(tmp_path)


def write_as_collector(file: Path, received: list[bytes]) -> None:
    """Write requests as the collector's file exporter does: OTLP/JSON, ids in hexadecimal."""
    with file.open("w") as lines:
        for body in received:
            request = ExportTraceServiceRequest.FromString(body)
            text = MessageToJson(request, indent=None, always_print_fields_with_no_presence=False)
            for resource in request.resource_spans:
                for scope in resource.scope_spans:
                    for span in scope.spans:
                        text = as_hexadecimal(text, span.trace_id, span.span_id, span.parent_span_id)
            lines.write(text + "\n")


def as_hexadecimal(text: str, *ids: bytes) -> str:
    """Put ids as OTLP/JSON wants them in the place of protobuf's base64."""
    for one in ids:
        if one:
            text = text.replace(f'"{base64.b64encode(one).decode()}"', f'"{one.hex()}"')
    return text


def test_our_exporter_queues_nothing_beside_the_recorder(tmp_path: Path, mongo_uri: str) -> None:
    """What the SDK built for ``--traces_exporter timetracer`` is out of the way of every span while we record."""
    program = tmp_path / "looks.py"
    program.write_text(
        "from opentelemetry import trace\n"
        "processors = trace.get_tracer_provider()._active_span_processor._span_processors\n"
        "print([type(one).__name__ for one in processors])\n"
    )
    result = run(tmp_path, mongo_uri, "--traces_exporter", "timetracer,console", program=program)
    assert result.stdout.splitlines()[0] == "['BatchSpanProcessor', 'LaneProcessor']"
