"""otel-collector.yaml is one that the collector takes, as it is and with what it offers in comments."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from tests.collector.conftest import CONFIGURATION, ROOT, uncommented

pytestmark = pytest.mark.system

_LEGS = ("max_recv_msg_size_mib:", "file/selected:", "otlp_grpc:", "traces/elsewhere:", "traces/selected:")


def _validate(otelcol: str, folder: Path, configuration: str) -> subprocess.CompletedProcess[str]:
    file = folder / "configuration.yaml"
    file.write_text(configuration, encoding="utf-8")
    command = [otelcol, "validate", "--config", str(file)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def test_as_shipped(otelcol: str, tmp_path: Path) -> None:
    """The file is valid without any setting from outside."""
    done = _validate(otelcol, tmp_path, CONFIGURATION.read_text(encoding="utf-8"))
    assert done.returncode == 0, done.stderr


def test_with_every_leg(otelcol: str, tmp_path: Path) -> None:
    """It is valid with its comments put into force, all at once."""
    configuration = uncommented(CONFIGURATION.read_text(encoding="utf-8"), *_LEGS)
    assert "\n  otlp_grpc:\n" in configuration
    assert "\n    traces/selected:\n" in configuration
    done = _validate(otelcol, tmp_path, configuration)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("leg", ["awss3", "kafka"])
def test_legs_of_larger_collectors(otelcol: str, tmp_path: Path, leg: str) -> None:
    """Of a leg that is not built in, the collector complains of that alone."""
    configuration = uncommented(CONFIGURATION.read_text(encoding="utf-8"), leg + ":")
    done = _validate(otelcol, tmp_path, configuration)
    assert done.returncode != 0
    assert f'unknown type: "{leg}"' in done.stderr
    assert done.stderr.count("unknown type") == 1


def test_no_other_code_in_comments() -> None:
    """Every setting in a comment is one that a test puts into force."""
    left = uncommented(CONFIGURATION.read_text(encoding="utf-8"), *_LEGS, "awss3:", "kafka:")
    comments = [line.strip() for line in left.splitlines() if line.strip().startswith("#")]
    assert [line for line in comments if not line.startswith("# ") and line != "#"] == []


def test_without_go_and_collector(tmp_path: Path) -> None:
    """Without a collector and without Go the script says what to install, status 2."""
    env = {"PATH": "/usr/bin:/bin", "TIMETRACER_OTELCOL_CACHE": str(tmp_path / "cache")}
    script = str(ROOT / "scripts" / "install-otelcol")
    tools = tmp_path / "bin"
    tools.mkdir()
    for tool in ("sh", "dirname", "cat", "cksum", "tr", "grep", "mkdir"):
        (tools / tool).symlink_to(next(Path(d, tool) for d in ("/usr/bin", "/bin") if Path(d, tool).exists()))
    done = subprocess.run([script], env={**env, "PATH": str(tools)}, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "there is no Go to build one" in done.stderr


def test_finds_what_it_built(otelcol: str, tmp_path: Path) -> None:
    """A second run gives the same collector at once, and a link to it where that is asked for."""
    script = str(ROOT / "scripts" / "install-otelcol")
    done = subprocess.run([script, str(tmp_path)], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == str(tmp_path / "otelcol")
    assert os.path.realpath(tmp_path / "otelcol") == os.path.realpath(otelcol)
