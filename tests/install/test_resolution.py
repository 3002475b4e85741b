"""``pip install`` of every extra, with the pip that comes with this Python: it finds an answer, and that works."""

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

from tests.support.mongo import MongoServer
from tests.support.pages import Reader
from timetracer_otel.integrations import discover

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


@pytest.fixture(scope="module")
def wheel(pip: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The distribution that is installed, built once."""
    folder = tmp_path_factory.mktemp("wheel")
    subprocess.run([pip, "wheel", "--quiet", "--no-deps", "--wheel-dir", folder, ROOT], check=True, timeout=600)
    (built,) = folder.glob("*.whl")
    return built


@pytest.mark.system  # asks the package index
@pytest.mark.parametrize("extra", ["", "all"])
def test_every_extra_resolves(pip: Path, wheel: Path, tmp_path: Path, extra: str) -> None:
    """Nothing is installed; the answer has the release that we name. Each extra alone is installed below."""
    report = tmp_path / "report.json"
    wanted = f"{wheel}[{extra}]" if extra else str(wheel)
    command = [str(pip), "install", "--dry-run", "--quiet", "--report", str(report), wanted]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=1200, check=False)
    assert ended.returncode == 0, f"{sys.version}: {ended.stdout}{ended.stderr}"
    found = {one["metadata"]["name"]: one["metadata"]["version"] for one in json.loads(report.read_text())["install"]}
    assert (found["opentelemetry-sdk"], found["opentelemetry-distro"]) == ("1.45.1", "0.66b1")


LIMIT_PACKAGES, LIMIT_BYTES = 40, 60 * 10**6
NO_LIBRARY = {"cli", "otlp", "zstd", "s3", "gcs", "azure", "debug", "vcr", "all"}
"""Extras that are no library which is recorded."""


def install(folder: Path, wheel: Path, wanted: str) -> Path:
    """Install us with some extras into an environment, a fresh one at first; give its folder of programs."""
    if not (folder / "bin").exists():
        venv.create(folder, with_pip=True)
    command = [str(folder / "bin" / "pip"), "install", "--quiet", "--disable-pip-version-check", f"{wheel}{wanted}"]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=1200, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return folder / "bin"


def size(folder: Path) -> int:
    """The bytes of what is installed, beside what installs it."""
    beside = {"pip", "setuptools", "pkg_resources", "_distutils_hack"}
    return sum(
        file.stat().st_size
        for part in folder.iterdir()
        if part.name.partition("-")[0] not in beside
        for file in (part.rglob("*") if part.is_dir() else [part])
        if file.is_file()
    )


@pytest.mark.system  # asks the package index
def test_a_new_reader_follows_the_readme(tmp_path: Path, wheel: Path) -> None:
    """What production needs is small and has no command line; with it every line of README.md does what it says."""
    bin_ = install(tmp_path / "env", wheel, "[flask,pymongo]")
    listed = subprocess.run([bin_ / "pip", "list", "--format", "json"], capture_output=True, text=True, check=True)
    names = {one["name"] for one in json.loads(listed.stdout)} - {"pip", "setuptools"}
    assert len(names) <= LIMIT_PACKAGES, sorted(names)
    (packages,) = (tmp_path / "env" / "lib").glob("python*/site-packages")
    assert size(packages) <= LIMIT_BYTES
    refused = subprocess.run([bin_ / "timetracer", "list"], capture_output=True, text=True, check=False)
    assert (refused.returncode, refused.stdout) == (2, "")
    assert refused.stderr.endswith("pip install 'timetracer-otel[cli]'\n")

    page = (ROOT / "README.md").read_text(encoding="utf-8")
    (wanted,) = re.findall(r"pip install 'timetracer-otel(\[.*?\])'", page)
    install(tmp_path / "env", wheel, wanted)
    folder = tmp_path / "reader"
    folder.mkdir()
    with MongoServer() as server:
        Reader(folder, server, python=str(bin_ / "python")).follow(page)


@pytest.fixture(scope="module")
def together(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The environment into which one extra after the other goes: fresh ones would take minutes more."""
    return tmp_path_factory.mktemp("together")


@pytest.mark.system  # asks the package index, minutes in all
@pytest.mark.parametrize("extra", sorted(EXTRAS))
def test_every_extra_records_and_replays(together: Path, wheel: Path, extra: str) -> None:
    """The library is there with OpenTelemetry's instrumentor, none of its names is missing, a program replays."""
    bin_ = install(together, wheel, f"[cli,{extra}]")
    ended = subprocess.run([bin_ / "timetracer", "doctor", "--json"], capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    found = {one["what"]: one for one in json.loads(ended.stdout)}
    assert found["self-test"]["state"] == "ok"
    if extra not in NO_LIBRARY:
        names = {name: one.name for one in discover().values() for name in one.names}
        library = found[names[extra]]
        assert library["state"] == "ok"
        brings = any("opentelemetry-instrumentation-" in one for one in EXTRAS[extra])
        assert not brings or "spans by timetracer-otel" not in library["told"]
