"""Real servers with two workers: recorded, then replayed from one lane's file with the database gone."""

from __future__ import annotations

import json
import os
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from examples.support import Program, free_port
from tests.pymongo.driver import DRIVERS
from tests.pymongo.harness import ELSEWHERE
from tests.support.mongo import MongoServer

ROOT = Path(__file__).parents[2]
SERVERS = {
    "gunicorn": ["gunicorn", "--workers", "2", "--bind", "127.0.0.1:{port}", "tests.pymongo.served:flask_app"],
    "uvicorn": ["uvicorn", "--workers", "2", "--port", "{port}", "tests.pymongo.served:starlette_app"],
}
NUMBERS = range(12)


def environment(uri: str, **more: str) -> dict[str, str]:
    """The environment of an app."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    return {**os.environ, "PATH": path, "MONGODB_URI": uri, "PYTHONPATH": str(ROOT), **more}


def ask(folder: Path, command: list[str], env: dict[str, str]) -> dict[int, Any]:
    """Start a server, ask it for every item at once, and stop it."""
    port = free_port()
    filled = [part.format(port=port) for part in command]
    with Program(filled, log=folder / "server.log", env=env, cwd=folder) as program:
        program.wait_for_port(port)
        with ThreadPoolExecutor(4) as pool:
            answers = pool.map(lambda number: httpx.get(f"http://127.0.0.1:{port}/items/{number}", timeout=20), NUMBERS)
            found = {
                number: answer.json() if answer.status_code == 200 else answer.text
                for number, answer in zip(NUMBERS, answers, strict=True)
            }
        program.stop()
    return found


@pytest.mark.system
@pytest.mark.parametrize("server", SERVERS)
def test_one_lane_replays_with_two_workers(mongo_server: MongoServer, tmp_path: Path, server: str) -> None:
    """What each worker asks at import, start-up and in a thread comes from the session that the lane names."""
    with DRIVERS["sync"].client(mongo_server.uri) as client:
        client.served.items.insert_many([{"_id": n, "name": f"item {n}"} for n in NUMBERS])
        client.served.settings.insert_many([{"_id": "limits", "max": 3}, {"_id": "start", "at": "start"}])
        client.served.prices.insert_many([{"_id": n} for n in range(7)])
    recording = ["opentelemetry-instrument", "--traces_exporter", "timetracer", *SERVERS[server]]
    cassettes = tmp_path / "cassettes"
    recorded = ask(tmp_path, recording, environment(mongo_server.uri, TIMETRACER_DIR=str(cassettes)))
    assert recorded[3]["item"] == {"_id": 3, "name": "item 3"}
    assert recorded[3]["settings"] == {"max": 3}
    assert len(recorded[3]["prices"]) == 7
    mongo_server.stop()

    lanes = {
        file: json.loads(file.read_text(encoding="utf-8").splitlines()[0]) for file in cassettes.rglob("GET__*.jsonl")
    }
    assert len(lanes) == len(NUMBERS)
    wanted = next(file for file in lanes if '"/items/3"' in file.read_text(encoding="utf-8"))
    one = replayed(tmp_path, [str(wanted)], server)
    assert one[0][3] == recorded[3]
    assert one[1]["followed"] == 1
    assert {miss["key"][2] for miss in one[1]["missed"]} == {"find"}  # the other items: they are in no file given


def replayed(folder: Path, cassettes: list[str], server: str) -> tuple[dict[int, Any], dict[str, Any]]:
    """Replay with a URI that leads nowhere; give the answers and the report."""
    report = folder / "report.json"
    command = ["timetracer-replay", *cassettes, "--report", str(report), "--", *SERVERS[server]]
    answers = ask(folder, command, environment(ELSEWHERE))
    return answers, json.loads(report.read_text(encoding="utf-8"))
