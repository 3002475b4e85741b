"""``pip install`` finds an answer for every extra, with the pip that comes with this Python."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tomllib
import venv
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
EXTRAS: dict[str, list[str]] = PROJECT["optional-dependencies"]


def test_one_release_of_opentelemetry_is_named_exactly() -> None:
    """A range would take in packages of a later release, of which the others may not be out yet."""
    wanted = [one for named in (PROJECT["dependencies"], *EXTRAS.values()) for one in named if "opentelemetry" in one]
    assert wanted
    assert {re.sub(r"^opentelemetry-[a-z0-9-]+==", "", one) for one in wanted} == {"1.45.1", "0.66b1"}


@pytest.fixture(scope="module")
def pip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The pip that this Python ships, in a fresh environment."""
    folder = tmp_path_factory.mktemp("fresh")
    venv.create(folder, with_pip=True)
    return folder / "bin" / "pip"


@pytest.mark.system  # asks the package index, minutes in all
@pytest.mark.parametrize("extra", ["", *EXTRAS])
def test_every_extra_resolves(pip: Path, tmp_path: Path, extra: str) -> None:
    """Nothing is installed; the answer has the release that we name."""
    report = tmp_path / "report.json"
    wanted = f"{ROOT}[{extra}]" if extra else str(ROOT)
    command = [str(pip), "install", "--dry-run", "--quiet", "--report", str(report), wanted]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=1200, check=False)
    assert ended.returncode == 0, f"{sys.version}: {ended.stdout}{ended.stderr}"
    found = {one["metadata"]["name"]: one["metadata"]["version"] for one in json.loads(report.read_text())["install"]}
    assert (found["opentelemetry-sdk"], found["opentelemetry-distro"]) == ("1.45.1", "0.66b1")
