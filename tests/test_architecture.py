"""The rules that hold the code base together."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[1]
SOURCES = sorted((ROOT / "src").rglob("*.py"))
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
MAX_LINES = 500
IGNORE = re.compile(r"#\s*(?:noqa|type:\s*ignore)\b")
IGNORE_WITH_REASON = re.compile(r"#\s*(?:noqa:\s*\w+(?:,\s*\w+)*|type:\s*ignore\[[\w, -]+\])\s+(?:#|-)\s*\S")


def place(source: Path) -> str:
    """Name a source file as a reader would."""
    return source.relative_to(ROOT).as_posix()


def test_dependencies_between_rooms_point_down() -> None:
    """No room imports one above it, nor a neighbour, and the core imports no library."""
    # In a process of its own: it disables every logger of the process that it does not know.
    program = "from importlinter.cli import lint_imports; raise SystemExit(lint_imports(no_cache=True, no_logo=True))"
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_modules_are_short() -> None:
    """No module has more than 400 lines."""
    lines = {place(source): len(source.read_text(encoding="utf-8").splitlines()) for source in SOURCES}
    assert lines, "no sources found"
    assert {name: count for name, count in lines.items() if count > MAX_LINES} == {}


def test_each_ignore_has_a_code_and_a_reason() -> None:
    """A silenced finding of ruff or mypy says which one, and why, on its line."""
    bare = [
        f"{place(source)}:{number}: {line.strip()}"
        for source in SOURCES
        for number, line in enumerate(source.read_text(encoding="utf-8").splitlines(), start=1)
        if IGNORE.search(line) and not IGNORE_WITH_REASON.search(line)
    ]
    assert bare == []


def test_no_extra_is_named_instruments() -> None:
    """OpenTelemetry checks an extra of that name for each entry point: one missing library would disable all."""
    assert "instruments" not in PROJECT["optional-dependencies"]


def test_extra_all_holds_every_other_extra() -> None:
    """``timetracer-otel[all]`` brings every library that has an extra; object storage is chosen by its cloud."""
    extras = PROJECT["optional-dependencies"]
    libraries = extras.keys() - {"all", "s3", "gcs", "azure"}
    assert extras["all"] == [f"timetracer-otel[{','.join(sorted(libraries))}]"]
