"""``timetracer-replay --verify`` as a user types it, with apps that need no database."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import tomllib
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from examples.asking import Ask
from examples.support import Program, free_port
from tests.matrix.harness import NOT_USED

HERE = Path(__file__).parent
APP = ("flask", "--app", "noisy_app", "run", "--port")

Verify = Callable[..., "subprocess.CompletedProcess[str]"]


def environment(**settings: str) -> dict[str, str]:
    """Our environment, our programs first."""
    path = os.pathsep.join((str(Path(sys.executable).parent), os.environ.get("PATH", "")))
    ours = {"PATH": path, "OTEL_PYTHON_DISABLED_INSTRUMENTATIONS": f"pymongo,{NOT_USED}"}
    return {**os.environ, **ours, **settings}


def record(folder: Path, *asks: Ask, **settings: str) -> Path:
    """Record the app answering; give its cassettes."""
    port, cassettes = free_port(), folder / "cassettes"
    env = environment(TIMETRACER_DIR=str(cassettes), **settings)
    command = ["opentelemetry-instrument", "--traces_exporter", "timetracer", *APP, str(port)]
    with Program(command, log=folder / "record.log", env=env, cwd=HERE) as program:
        program.wait_for_port(port)
        for ask in asks:
            ask.send(port)
    return cassettes


def run(
    cassettes: Path, *options: str, command: tuple[str, ...] = (*APP, "0"), **settings: str
) -> subprocess.CompletedProcess[str]:
    """Run the verification."""
    words = ["timetracer-replay", "--verify", str(cassettes), *options, "--", *command]
    return subprocess.run(
        words, cwd=HERE, env=environment(**settings), capture_output=True, text=True, timeout=60, check=False
    )


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Cassettes of an app without noise."""
    asks = [Ask("GET", f"/plain/{word}") for word in ("one", "two", "three", "four")]
    return record(tmp_path_factory.mktemp("plain"), *asks)


def test_unchanged_app_passes(plain: Path) -> None:
    """Everything matches: exit status 0, and the summary says so."""
    ended = run(plain, "--concurrency", "4")
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "4 checked, 4 passed, 0 differ" in ended.stdout


def test_changed_app_fails_in_every_report(plain: Path, tmp_path: Path) -> None:
    """A changed body is told in the terminal, as JSON, as JUnit XML and in the page; exit status 1."""
    files = {name: tmp_path / f"report.{name}" for name in ("json", "xml", "html")}
    options = ("--report", str(files["json"]), "--junit", str(files["xml"]), "--html", str(files["html"]))
    ended = run(plain, *options, CHANGED="1")
    assert ended.returncode == 1
    assert "'one' recorded, 'ONE' now" in ended.stdout
    report = json.loads(files["json"].read_bytes())
    assert (report["requests"], report["differing"], report["kinds"]) == (4, 4, {"body": 4})
    suite = ET.fromstring(files["xml"].read_text())[0]  # noqa: S314 - our own file
    assert (suite.get("tests"), suite.get("failures")) == ("4", "4")
    assert '"GET /plain/one"' in files["html"].read_text()


@pytest.mark.system
def test_value_that_was_not_recorded_is_named(tmp_path: Path) -> None:
    """What the app draws now and did not draw then is a likely cause: it is told where and how often."""
    cassettes, report = record(tmp_path, Ask("GET", "/ticket")), tmp_path / "report.json"
    assert "drawn anew" not in run(cassettes).stdout
    ended = run(cassettes, "--report", str(report), CHANGED="1")
    assert ended.returncode == 1
    assert "drawn anew, not recorded: uuid.uuid4 in noisy_app: return uuid.uuid4().hex\n" in ended.stdout
    assert "1 value drawn anew" in ended.stdout
    (lane,) = json.loads(report.read_bytes())["verified"]
    wanted = {"kind": "uuid.uuid4", "module": "noisy_app", "statement": "return uuid.uuid4().hex", "times": 1}
    assert lane["drawn_anew"] == [wanted]


@pytest.mark.system
def test_shards_part_the_requests(plain: Path, tmp_path: Path) -> None:
    """Each shard sends its part, and together they send all."""
    names = []
    for shard in ("1/2", "2/2"):
        report = tmp_path / "report.json"
        assert run(plain, "--shard", shard, "--report", str(report)).returncode == 0
        names.append({one["request"] for one in json.loads(report.read_bytes())["verified"]})
    assert [len(one) for one in names] == [2, 2]
    assert not names[0] & names[1]


def test_several_workers_share_the_requests(plain: Path) -> None:
    """Two instances on ports of their own answer everything."""
    ended = run(plain, "--workers", "2", "--concurrency", "2")
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "4 checked, 4 passed, 0 differ" in ended.stdout


def test_url_names_the_port(plain: Path) -> None:
    """With --url nothing is searched for."""
    port = free_port()
    ended = run(plain, "--url", f"http://127.0.0.1:{port}", command=(*APP, str(port)))
    assert ended.returncode == 0, ended.stdout + ended.stderr


def test_command_that_ends_early_is_a_failure(plain: Path) -> None:
    """Exit status 1, with what the command said."""
    ended = run(plain, BROKEN="1")
    assert ended.returncode == 1
    assert ended.stdout.count("ended with status 3 before it listened") == 1
    assert "0 checked, 0 passed, 0 differ, 4 not sent" in ended.stdout


def test_lane_that_nothing_drives_is_a_failure(plain: Path, tmp_path: Path) -> None:
    """A message's lane beside requests, and a request of which only a span was recorded, are named; nothing passes."""
    report = tmp_path / "report.json"
    cassettes = shutil.copytree(plain, tmp_path / "cassettes")
    for kind, name, more in ((5, "orders process", {}), (2, "GET /lost", {"http.request.method": "GET"})):
        attributes = {"timetracer.lane.id": f"{kind}" * 32, **more}
        span = {
            "traceId": f"{kind}" * 32, "spanId": f"{kind}" * 16, "name": name, "kind": kind,
            "startTimeUnixNano": "1", "endTimeUnixNano": "2",
            "attributes": [{"key": key, "value": {"stringValue": value}} for key, value in attributes.items()],
        }  # fmt: skip
        traces = {"resourceSpans": [{"scopeSpans": [{"spans": [span]}]}]}
        (cassettes / f"{kind}.jsonl").write_text(json.dumps(traces) + "\n")
    ended = run(cassettes, "--report", str(report))
    assert ended.returncode == 1
    assert "4 checked, 4 passed, 0 differ, 2 not driven" in ended.stdout, ended.stdout + ended.stderr
    undriven = [one for one in json.loads(report.read_bytes())["verified"] if not one["driven"]]
    assert {one["request"] for one in undriven} == {"orders process", "GET /lost"}
    assert [inner["kind"] for one in undriven for inner in one["differences"]] == ["error", "error"]


def test_app_that_opens_no_lane_is_a_failure(plain: Path) -> None:
    """A server that timetracer does not see into cannot pass, whatever it answers."""
    ended = run(plain, command=("python", "-m", "http.server", "0", "--bind", "127.0.0.1"))
    assert ended.returncode == 1
    assert "no lane was opened" in ended.stdout


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (("--shard", "3/2"), "--shard 3/2"),
        (("--header", "nothing"), "--header 'nothing'"),
        (("--url", "ftp://x"), "--url ftp://x"),
        (("--service", "other"), "--service other"),
        (("--shard", "9/9"), "fewer requests than parts"),
        (("--ignore", "nowhere.toml"), "nowhere.toml: there is no such file"),
        (("--report", "nowhere/report.json"), "there is no directory nowhere"),
        (("--html", "."), ". cannot be written"),
        (("--log", "nowhere/app.log"), "there is no directory nowhere"),
        (("--trace", "noisy_app.py/trace"), "noisy_app.py/trace cannot be written into"),
        (("--url", "http://127.0.0.1:1", "--workers", "2"), "leave it out, or --workers"),
    ],
)
def test_wrong_option_is_status_2(plain: Path, options: tuple[str, ...], says: str) -> None:
    """A wrong command line is one line and exit status 2."""
    ended = run(plain, *options)
    assert ended.returncode == 2
    assert says in ended.stderr
    assert "Traceback" not in ended.stderr


def test_option_of_verify_alone_is_status_2(plain: Path) -> None:
    """What only ``--verify`` heeds is not passed over without it."""
    words = ["timetracer-replay", str(plain), "--html", "page.html", "--", "true"]
    ended = subprocess.run(words, env=environment(), capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 2
    assert "--html goes with --verify" in ended.stderr


def test_port_of_somebody_else_is_status_2(plain: Path) -> None:
    """Recorded requests are never sent to what listened before the command was started."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        ended = run(plain, "--url", f"http://127.0.0.1:{other.getsockname()[1]}")
    assert ended.returncode == 2
    assert "something listens there already" in ended.stderr


@pytest.mark.system
def test_app_that_dies_in_the_middle_is_told(plain: Path) -> None:
    """What was answered before is compared; the rest has no response, and the end of the command is told."""
    ended = run(plain, FRAIL="1")
    assert ended.returncode == 1
    assert "problem: the command ended with status 7 in the middle; it said:" in ended.stdout
    assert "3 checked, 2 passed, 1 differ (1 error), 1 not sent" in ended.stdout


@pytest.mark.system
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupt_ends_the_app_too(plain: Path, tmp_path: Path, number: int) -> None:
    """Exit status 128 and the signal's number, and nothing that was started is left."""
    app = ("python", "-c", "import os, time; print(os.getpid(), flush=True); time.sleep(60)")
    log = tmp_path / "app.log"
    words = ["timetracer-replay", "--verify", str(plain), "--log", str(log), "--", *app]
    with subprocess.Popen(words, env=environment(), start_new_session=True) as verifying:
        while not (log.exists() and log.read_text().strip()):
            assert verifying.poll() is None
            time.sleep(0.05)
        verifying.send_signal(number)
        assert verifying.wait(30) == 128 + number
    with pytest.raises(ProcessLookupError):
        os.kill(int(log.read_text().split()[0]), 0)


def test_unreadable_cassette_is_status_2(tmp_path: Path) -> None:
    """A damaged file is named, and nothing is started."""
    (tmp_path / "broken.jsonl").write_text("{")
    ended = run(tmp_path)
    assert ended.returncode == 2
    assert "broken.jsonl" in ended.stderr


@pytest.mark.system
def test_learned_list_hides_noise_and_nothing_else(tmp_path: Path) -> None:
    """--learn proposes the header and the leaves that differ, refuses a whole body; with the list only that is left."""
    cassettes = record(tmp_path, Ask("GET", "/noisy"), Ask("GET", "/text"))
    assert run(cassettes).returncode == 1
    learned = run(cassettes, "--learn")
    assert "GET /text" in learned.stdout
    file = cassettes / "timetracer-ignore.toml"
    entries = {
        (one["request"], one.get("header", "") + one.get("body", ""))
        for one in tomllib.loads(file.read_text())["ignore"]
    }
    assert entries == {("GET /noisy", "x-process"), ("GET /noisy", "$.pid"), ("GET /noisy", "$.items[*].at")}
    assert "whole body" in file.read_text()
    again = run(cassettes)
    assert again.returncode == 1
    assert "2 checked, 1 passed, 1 differ (1 body), 3 ignored" in again.stdout


@pytest.mark.system
def test_masked_header_can_be_given(tmp_path: Path) -> None:
    """What the recording masked is sent as far as it is known, or as --header says; the lane's header stays unseen."""
    port, cassettes = free_port(), tmp_path / "cassettes"
    env = environment(TIMETRACER_DIR=str(cassettes), TIMETRACER_KEY="none")
    command = ["opentelemetry-instrument", "--traces_exporter", "timetracer", *APP, str(port)]
    with Program(command, log=tmp_path / "record.log", env=env, cwd=HERE) as program:
        program.wait_for_port(port)
        import http.client  # noqa: PLC0415 - only this test sends a header of its own

        connection = http.client.HTTPConnection("127.0.0.1", port)
        connection.request("GET", "/whoami", headers={"Authorization": "Bearer secret"})
        connection.getresponse().read()
        connection.close()
    assert "masked while recording" in run(cassettes).stdout
    ended = run(cassettes, "--header", "Authorization: Bearer secret")
    assert ended.returncode == 0, ended.stdout + ended.stderr


@pytest.mark.system
def test_script_is_compared_by_output_and_exit_status(tmp_path: Path) -> None:
    """A program that serves nothing is run again; a changed line of output or exit status fails."""
    script = tmp_path / "job.py"
    script.write_text(
        "import os, sys\nprint('hello', os.environ.get('WORD', 'world'))\nsys.exit(int(os.environ.get('END', '4')))\n"
    )
    cassettes = tmp_path / "cassettes"
    command = ["opentelemetry-instrument", "--traces_exporter", "timetracer", "python", str(script)]
    env = environment(TIMETRACER_DIR=str(cassettes))
    assert subprocess.run(command, env=env, capture_output=True, check=False).returncode == 4
    same = run(cassettes, command=("python", str(script)))
    assert same.returncode == 0, same.stdout + same.stderr
    assert (
        "'hello world' recorded, 'hello you' now" in run(cassettes, command=("python", str(script)), WORD="you").stdout
    )
    assert "exit status: $: 4 recorded, 5 now" in run(cassettes, command=("python", str(script)), END="5").stdout
