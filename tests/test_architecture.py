"""The rules that hold the code base together."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Collection, Iterator, Mapping
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

from timetracer_otel.integrations import discover

ROOT = Path(__file__).parents[1]
SOURCES = sorted((ROOT / "src").rglob("*.py"))
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
MAX_LINES = 500
CORE = tuple(
    f"timetracer_otel.{room}"
    for room in (
        "cassette", "config", "encoding", "errors", "nondeterminism", "redaction", "sealing", "seams", "spans",
    )
)  # fmt: skip
MAY_NAME = {"commands.py"}
"""Modules that know command lines, of which one is named as a framework is: ``flask run``."""
IGNORE = re.compile(r"#\s*(?:noqa|type:\s*ignore)\b")
IGNORE_WITH_REASON = re.compile(r"#\s*(?:noqa:\s*\w+(?:,\s*\w+)*|type:\s*ignore\[[\w, -]+\])\s+(?:#|-)\s*\S")


def place(source: Path) -> str:
    """Name a source file as a reader would."""
    return source.relative_to(ROOT).as_posix()


def test_dependencies_between_rooms_point_down() -> None:
    """No room imports one above it, nor a neighbour."""
    # In a process of its own: it disables every logger of the process that it does not know.
    program = "from importlinter.cli import lint_imports; raise SystemExit(lint_imports(no_cache=True, no_logo=True))"
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_modules_are_short() -> None:
    """No module has more than 500 lines."""
    lines = {place(source): len(source.read_text(encoding="utf-8").splitlines()) for source in SOURCES}
    assert lines, "no sources found"
    assert {name: count for name, count in lines.items() if count > MAX_LINES} == {}


def module_name(source: Path) -> str:
    """Name a module of the package as an import does."""
    return ".".join(source.relative_to(ROOT / "src").with_suffix("").parts).removesuffix(".__init__")


def imported(source: Path, modules: Collection[str]) -> Iterator[str]:
    """Give the modules that a source imports anywhere in it, also where only type checkers look."""
    for node in ast.walk(ast.parse(source.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (one.name for one in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.module is not None, f"{place(source)}: a relative import"
            for one in node.names:
                inner = f"{node.module}.{one.name}"
                yield inner if inner in modules else node.module


def test_the_core_knows_no_library() -> None:
    """Below the families nothing imports a package of a library that an integration declares."""
    libraries = {package for one in discover().values() for package in one.packages} - sys.stdlib_module_names
    assert {"pymongo", "flask", "httpx", "urllib3"} <= libraries
    core = [source for source in SOURCES if module_name(source).startswith(CORE)]
    known = {place(source): {one.partition(".")[0] for one in imported(source, ())} & libraries for source in core}
    assert "src/timetracer_otel/seams/calls.py" in known
    assert {name: found for name, found in known.items() if found} == {}


def test_no_integration_is_named_outside() -> None:
    """No module but its own and its family says the name of an integration as a text: what is said is declared."""
    names = {name for one in discover().values() for name in one.names} - {"requests"}  # a word of every report
    elsewhere = [
        source
        for source in SOURCES
        if not module_name(source).startswith(("timetracer_otel.integrations.", "timetracer_otel.families."))
        and source.name not in MAY_NAME
    ]
    said = {
        place(source): {
            node.value
            for node in ast.walk(ast.parse(source.read_text(encoding="utf-8")))
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value in names
        }
        for source in elsewhere
    }
    assert {name: found for name, found in said.items() if found} == {}


def first_circle(imports: Mapping[str, Collection[str]]) -> list[str]:
    """Give modules that import one another in a circle; none when there is no circle."""
    try:
        TopologicalSorter(imports).prepare()
    except CycleError as error:
        circle: list[str] = error.args[1]
        return circle
    return []


def test_no_modules_import_one_another() -> None:
    """No module imports one that imports it, directly or through others: imports for types count."""
    modules = {module_name(source): source for source in SOURCES}
    imports = {
        name: {one for one in imported(source, modules) if one in modules and one != name}
        for name, source in modules.items()
    }
    assert imports["timetracer_otel.autoload"], "no imports found"
    assert first_circle(imports) == []


def test_a_circle_is_found() -> None:
    """Modules that import one another through a third are named."""
    assert set(first_circle({"a": {"b"}, "b": {"c"}, "c": {"a"}, "d": set()})) == {"a", "b", "c"}


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
    """``timetracer-otel[all]`` has each library; no storage, no debugpy; ARQ wants an old redis-py, two C."""
    extras = PROJECT["optional-dependencies"]
    libraries = extras.keys() - {"all", "arq", "debug", "s3", "gcs", "azure", "mysqlclient", "pylibmc"}
    assert extras["all"] == [f"timetracer-otel[{','.join(sorted(libraries))}]"]
