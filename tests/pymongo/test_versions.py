"""The supported versions of the driver, each in a process of its own, and what is said of the others."""

from __future__ import annotations

import importlib
import logging
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pymongo
import pytest

from tests.pymongo.driver import DRIVERS
from tests.pymongo.harness import ELSEWHERE, run
from timetracer_otel import testing
from timetracer_otel.families.mongodb import pymongo_server
from timetracer_otel.seams import Integration, patching

ROOT = Path(__file__).parents[2]
CACHE = ROOT / ".cache" / "pymongo"
VERSIONS = ["4.9", "4.11", "4.13", "4.16"]
"""The oldest supported, and each that moved a seam; the newest is what all other tests run with."""
CONTRACT = ["contract", "faults", "secrets"]


def installed(version: str) -> Path:
    """Give a folder with the newest driver of a minor version, installed once."""
    folder = CACHE / version
    if not folder.exists():
        making = CACHE / f"{version}.part"
        pip = [
            sys.executable,
            "-m",
            "pip",
            "install",
            "--quiet",
            "--target",
            str(making),
            "--no-deps",
            f"pymongo~={version}.0",
        ]
        subprocess.run(pip, check=True)
        making.rename(folder)
    return folder


@pytest.mark.system
@pytest.mark.parametrize("version", VERSIONS)
def test_contract_holds_with_each_version(version: str) -> None:
    """Everything that these tests say of the driver holds with this minor version."""
    files = [f"tests/pymongo/test_{name}.py" for name in CONTRACT]
    if version != "4.9":  # its asynchronous driver, a beta, loses cancellations and waits without end
        files.append("tests/pymongo/test_cancelled.py")
    path = os.pathsep.join([str(installed(version)), str(ROOT)])
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *files]
    done = subprocess.run(
        command, cwd=ROOT, env={**os.environ, "PYTHONPATH": path}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout[-8000:]


def test_version_under_test_is_the_one_that_was_asked_for() -> None:
    """A run for one version does not quietly use another."""
    wanted = [version for version in VERSIONS if f"{CACHE / version}{os.sep}" in pymongo.__file__]
    assert all(pymongo.version.startswith(f"{version}.") for version in wanted)


def test_library_too_old_is_reported(caplog: pytest.LogCaptureFixture) -> None:
    """A version without the seams is named when it is imported, with what to install."""
    importlib.import_module("flask")
    with caplog.at_level(logging.WARNING, "timetracer_otel"):
        patching.apply(Integration("ancient", (), oldest=("flask", (99, 0))))
    assert "is older than 99.0" in caplog.text
    assert "pip install 'flask>=99.0'" in caplog.text


async def ask(client: Any) -> Any:
    """Find something."""
    return await DRIVERS["sync"].get(client.t.x.find_one())


def test_supported_version_is_silent(mongo_uri: str, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Every name that is patched exists in this version."""
    with caplog.at_level(logging.WARNING, "timetracer_otel"), testing.record(tmp_path):
        for driver in DRIVERS.values():
            run(driver, ask, mongo_uri)
    assert caplog.text == ""


def test_replay_with_another_minor_version_warns(
    mongo_uri: str, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The driver's version is in the recording; another minor version in replay is said once."""
    with testing.record(tmp_path):
        run(DRIVERS["sync"], ask, mongo_uri)
    monkeypatch.setattr(pymongo_server, "_warned", set())
    with caplog.at_level(logging.WARNING, "timetracer_otel"), testing.replay(tmp_path):
        run(DRIVERS["sync"], ask, ELSEWHERE)
        assert caplog.text == ""
        monkeypatch.setattr(pymongo, "version", "4.99.0")
        run(DRIVERS["sync"], ask, ELSEWHERE)
        run(DRIVERS["sync"], ask, ELSEWHERE)
    assert caplog.text.count("replayed with 4.99.0") == 1
