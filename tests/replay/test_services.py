"""A trace that spans services: one of them is verified, its neighbours are answered from the trace."""

from __future__ import annotations

import json
import subprocess
from contextlib import ExitStack
from pathlib import Path

import pytest

from examples.asking import Ask
from examples.support import Program, free_port
from tests.replay.test_verify_command import HERE, environment
from timetracer_otel.cassette import shelf, storage

FLASK = ("flask", "--app", "services:{name}", "run", "--port", "{port}")
COMMANDS = {"shop": FLASK, "stock": FLASK, "payment": ("uvicorn", "services:{name}", "--port", "{port}")}
pytestmark = pytest.mark.system  # every test starts a service


def command(name: str, port: int = 0) -> list[str]:
    """What starts a service."""
    return [word.format(name=name, port=port) for word in COMMANDS[name]]


@pytest.fixture(scope="module")
def cassettes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two orders, one of them paid in two parts, as three processes recorded them into one directory."""
    folder = tmp_path_factory.mktemp("services")
    ports = {name: free_port() for name in COMMANDS}
    urls = {f"{name.upper()}_URL": f"http://127.0.0.1:{port}" for name, port in ports.items()}
    with ExitStack() as running:
        for name, port in ports.items():
            env = environment(TIMETRACER_DIR=str(folder / "cassettes"), OTEL_SERVICE_NAME=name, **urls)
            words = ["opentelemetry-instrument", "--traces_exporter", "timetracer", *command(name, port)]
            program = running.enter_context(Program(words, log=folder / f"{name}.log", env=env, cwd=HERE))
            program.wait_for_port(port)
        for target in ("/orders/tea", "/orders/coffee?parts=2"):
            Ask("POST", target, {}).send(ports["shop"])
    (folder / "urls.json").write_text(json.dumps(urls))
    return folder / "cassettes"


def verify(
    cassettes: Path, name: str, *options: str, folder: Path, by: str = "", **settings: str
) -> subprocess.CompletedProcess[str]:
    """Verify one service; the addresses of the others are the recorded ones, where nobody listens any more."""
    report, started = folder / "report.json", by.split() or command(name)
    options = (*options, "--report", str(report), "--wait", "60")
    words = ["timetracer-replay", "--verify", str(cassettes), *options, "--", *started]
    urls = json.loads((folder / "urls.json").read_bytes())
    env = environment(OTEL_SERVICE_NAME=name, **urls, **settings)
    return subprocess.run(words, cwd=HERE, env=env, capture_output=True, text=True, timeout=110, check=False)


@pytest.mark.parametrize(("name", "calls"), [("shop", [1, 2]), ("payment", [1, 1, 1]), ("stock", [0, 0, 0])])
def test_each_service_can_be_verified_alone(cassettes: Path, name: str, calls: list[int]) -> None:
    """Its own requests are sent, also two of one trace; what it asked its neighbours is answered from the trace."""
    folder = cassettes.parent
    ended = verify(cassettes, name, "--service", name, folder=folder)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    report = json.loads((folder / "report.json").read_bytes())
    assert [(one["calls"], one["matched"]) for one in report["verified"]] == [(number, True) for number in calls]


@pytest.mark.parametrize(
    ("name", "by"),
    [
        ("stock", "gunicorn services:stock --bind 127.0.0.1:0 --workers 2"),
        ("stock", "gunicorn services:stock --bind 127.0.0.1:0 --worker-class gthread --threads 4"),
        ("payment", "gunicorn services:payment --bind 127.0.0.1:0 --worker-class uvicorn.workers.UvicornWorker"),
        ("payment", "uvicorn services:payment --port 0 --workers 2 --timeout-worker-healthcheck 30"),
    ],
)
def test_servers_with_workers_can_be_verified(cassettes: Path, name: str, by: str) -> None:
    """Requests that come to processes which the command forks or starts are compared like all others."""
    ended = verify(cassettes, name, "--service", name, "--concurrency", "3", folder=cassettes.parent, by=by)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "3 checked, 3 passed, 0 differ" in ended.stdout


def test_services_share_their_traces(cassettes: Path) -> None:
    """Two orders are two traces, whichever services the requests came to."""
    lanes = shelf.catalog(storage.find([str(cassettes)], cassettes)).lanes
    assert len(lanes) == 8
    assert len({lane.trace_id for lane in lanes}) == 2


def test_change_of_one_service_is_found(cassettes: Path) -> None:
    """What it asks its neighbour otherwise is named."""
    ended = verify(cassettes, "payment", "--service", "payment", folder=cassettes.parent, CHANGED="1")
    assert ended.returncode == 1
    assert "3 differ" in ended.stdout
    assert "changed http GET" in ended.stdout
    assert "$.query.tax: nothing recorded, '1' now" in ended.stdout


def test_one_file_with_the_whole_trace_will_do(cassettes: Path, tmp_path: Path) -> None:
    """All spans of all services in one file, as a collector writes it, give the same."""
    whole = tmp_path / "trace.jsonl"
    whole.write_bytes(b"".join(file.read_bytes() for file in storage.find([str(cassettes)], cassettes)))
    ended = verify(whole, "payment", "--service", "payment", "--concurrency", "3", folder=cassettes.parent)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "3 checked, 3 passed, 0 differ; 3 calls answered" in ended.stdout


def test_bundle_of_one_request_will_do(cassettes: Path, tmp_path: Path) -> None:
    """The lanes of the service in one bundled file."""
    bundle = tmp_path / "payment.jsonl"
    files = [str(file) for file in storage.find([str(cassettes)], cassettes) if "POST__charges" in file.name]
    subprocess.run(["timetracer", "bundle", *files, "-o", str(bundle)], env=environment(), check=True)
    ended = verify(bundle, "payment", folder=cassettes.parent)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "3 checked, 3 passed, 0 differ; 3 calls answered" in ended.stdout


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ((), "choose one with --service (payment, shop, stock)"),
        (("--service", "mail"), "--service mail: recorded are payment, shop, stock"),
    ],
)
def test_service_must_be_one_of_the_recorded(cassettes: Path, options: tuple[str, ...], says: str) -> None:
    """Exit status 2, and the known ones are named."""
    ended = verify(cassettes, "payment", *options, folder=cassettes.parent)
    assert ended.returncode == 2
    assert says in ended.stderr
