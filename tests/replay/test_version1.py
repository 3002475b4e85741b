"""Imported cassettes of timetracer 1.x, replayed by the real command: their HTTP calls answer, nothing else does."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from examples.support import free_port
from tests.support.commands import REPLAY
from timetracer_otel.cassette import importing
from timetracer_otel.integrations import known_to_version1

RECORDED = Path(__file__).parents[1] / "cassette" / "version1"
APP = """
import os

import requests
from flask import Flask, jsonify, request
from pymongo import MongoClient

UP = "http://127.0.0.1:7801"
app = Flask(__name__)


@app.get("/users/<int:number>")
def user(number):
    found = requests.get(f"{UP}/users/{number}", params={"q": "a b", "q2": ["1", "2"]}).json()
    audit = requests.post(f"{UP}/audit", json={"user": number, "ok": "CHANGED" not in os.environ}).json()
    return jsonify(user=found, audit=audit, c=requests.get(f"{UP}/missing").status_code)


@app.post("/binary")
def binary():
    return jsonify(size=len(requests.get(f"{UP}/binary").content))


@app.get("/mongo")
def mongo():
    return jsonify(MongoClient("mongodb://127.0.0.1:9/").shop.users.find_one({"_id": 1}))
"""


def verify(folder: Path, cassette: str, **env: str) -> subprocess.CompletedProcess[str]:
    """Import a cassette, and verify the app that it was recorded of, without timetracer 1.x in it."""
    (folder / "app.py").write_text(APP)
    importing.import_all([str(RECORDED / cassette)], folder, folder / "cassettes", "none", known_to_version1())
    command = [*REPLAY, "cassettes", "--verify"]
    return subprocess.run(
        [*command, "--", sys.executable, "-m", "flask", "--app", "app", "run"],
        capture_output=True,
        text=True,
        cwd=folder,
        env={**os.environ, "FLASK_RUN_PORT": str(free_port()), **env},
        timeout=100,
        check=False,
    )


def test_its_http_calls_are_answered(tmp_path: Path) -> None:
    """The response is the recorded one, to the byte."""
    done = verify(tmp_path, "flask-users.json")
    assert (done.returncode, "1 checked, 1 passed, 0 differ; 3 calls answered" in done.stdout) == (0, True), done.stdout


@pytest.mark.system
@pytest.mark.parametrize(
    ("cassette", "env", "cause"),
    [
        ("flask-users.json", {"CHANGED": "1"}, "kept only a hash of the request's body, and this body has another"),
        ("flask-binary.json", {}, "imported from timetracer 1.x, which did not keep the body of the response"),
        ("flask-mongo.json", {}, "extra mongodb shop find users"),
    ],
)
def test_what_it_does_not_hold_is_a_miss(tmp_path: Path, cassette: str, env: dict[str, str], cause: str) -> None:
    """Never an answer that was made up; the message says why."""
    done = verify(tmp_path, cassette, **env)
    assert done.returncode == 1
    assert cause in done.stdout
