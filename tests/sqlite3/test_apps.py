"""A Flask app on a database file: recorded, its file deleted, replayed and verified by the real commands."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from examples.asking import Ask
from examples.support import Program, free_port
from tests.support.commands import OTEL, REPLAY

HERE = Path(__file__).parent
APP = (sys.executable, "-m", "flask", "--app", "app", "run", "--port")
PASSWORD = "correct-horse-battery-staple-7"


def environment(shop: Path, **settings: str) -> dict[str, str]:
    """Ours, with the app's database."""
    return {**os.environ, "SHOP": str(shop), **settings}


@pytest.fixture(scope="module", params=["", "sqlite3"], ids=["instrumented", "alone"])
def cassettes(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Iterator[Path]:
    """Cassettes of the app, with the standard instrumentor and without; its database is gone."""
    folder = tmp_path_factory.mktemp("shop")
    shop, port = folder / "shop.db", free_port()
    env = environment(shop, SETUP="1", TIMETRACER_DIR=str(folder / "cassettes"))
    env["OTEL_PYTHON_DISABLED_INSTRUMENTATIONS"] = request.param
    command = [*OTEL, "--traces_exporter", "timetracer", *APP, str(port)]
    with Program(command, log=folder / "log", env=env, cwd=HERE) as program:
        program.wait_for_port(port)
        asks = [
            Ask("POST", "/orders", {"buyer": buyer, "items": [f"{buyer}'s tea", "milk"], "password": PASSWORD})
            for buyer in ("ann", "bob")
        ]
        with ThreadPoolExecutor(2) as pool:
            assert [answer.status for answer in pool.map(lambda ask: ask.send(port), asks)] == [200, 200]
        for ask in (Ask("GET", "/orders?buyer=bob"), Ask("GET", "/count")):
            assert ask.send(port).status == 200
    shop.unlink()
    yield folder / "cassettes"
    assert not shop.exists()


def verify(cassettes: Path, *options: str, **settings: str) -> subprocess.CompletedProcess[str]:
    """Run the verification, with a path at which no file can be made."""
    words = [*REPLAY, "--verify", str(cassettes), *options, "--", *APP, "0"]
    env = environment(Path("/nowhere/shop.db"), SETUP="1", **settings)
    return subprocess.run(words, cwd=HERE, env=env, capture_output=True, text=True, timeout=120, check=False)


@pytest.mark.system
def test_unchanged_app_passes(cassettes: Path) -> None:
    """Requests that ran at once, threads and tasks each get their own rows, whatever runs first."""
    ended = verify(cassettes, "--concurrency", "4")
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "4 checked, 4 passed, 0 differ" in ended.stdout


@pytest.mark.system
def test_changed_parameter_is_named(cassettes: Path) -> None:
    """A statement with another value is told by its table and the name of its parameter."""
    ended = verify(cassettes, LIMIT="2")
    assert ended.returncode == 1
    assert "changed sqlite SELECT orders: $.parameters.limit: 100.0 recorded, 2.0 now" in ended.stdout


def test_a_password_is_in_no_call(cassettes: Path) -> None:
    """What is bound to a column called password is sealed; the rest of the statement can be read."""
    calls = [
        {one["key"]: one["value"].get("stringValue") for one in span["attributes"]}
        for file in cassettes.rglob("*.jsonl")
        if not file.is_symlink()
        for line in file.read_text(encoding="utf-8").splitlines()
        for resource in json.loads(line)["resourceSpans"]
        for scope in resource["scopeSpans"]
        for span in scope["spans"]
        if span["kind"] == 3
    ]
    inserted = [
        call["timetracer.request"] for call in calls if "INSERT INTO orders" in str(call.get("timetracer.request"))
    ]
    assert len(inserted) == 2
    assert not any(PASSWORD in str(value) for call in calls for value in call.values())
    assert all("ann" in text or "bob" in text for text in inserted if text)
