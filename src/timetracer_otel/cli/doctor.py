"""``timetracer doctor``: what is installed and active here, and whether a recording replays."""

from __future__ import annotations

import builtins
import importlib
import os
import platform
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from importlib import metadata, util
from pathlib import Path
from typing import Any, Final, Literal

from timetracer_otel import config, sealing
from timetracer_otel.cli import plugins
from timetracer_otel.cli.output import console, one_line
from timetracer_otel.cli.styled import Printer, Styled
from timetracer_otel.errors import TimetracerError
from timetracer_otel.integrations import discover
from timetracer_otel.seams import Integration, Patch
from timetracer_otel.seams.instrumentors import declared

__all__ = ["Finding", "examine", "print_findings"]

_STYLES: Final = {"ok": "green", "note": "dim", "warning": "yellow", "error": "red"}
_MARK: Final = 8
"""Columns of a state."""
_OTEL: Final = ("api", "sdk", "distro", "instrumentation")
_SECONDS: Final = 120.0
_RECORD: Final = "from opentelemetry.instrumentation.auto_instrumentation import run; run()"
_REPLAY: Final = "from timetracer_otel.replay.launcher import run; run()"
_PROGRAM: Final = """\
import sqlite3, uuid
connection = sqlite3.connect("self-test.db")
connection.execute("create table if not exists drawn (id text)")
connection.execute("insert into drawn values (?)", (str(uuid.uuid4()),))
print(connection.execute("select id from drawn").fetchall())
"""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        state: how it is: an error is what must be mended.
        what: was looked at.
        told: what was found, and what to do about it.
    """

    state: Literal["ok", "note", "warning", "error"]
    what: str
    told: str

    def as_json(self) -> dict[str, Any]:
        """The finding as data."""
        return {"state": self.state, "what": self.what, "told": self.told}


def examine(environ: Mapping[str, str] = os.environ, *, self_test: bool = True) -> Iterator[Finding]:
    """Look at everything, one thing after the other.

    Args:
        environ: the environment.
        self_test: whether to record a small program and to replay it, which takes seconds.
    """
    checks: list[Callable[[], Iterator[Finding]]] = [
        _versions,
        lambda: _settings(environ),
        lambda: _exporters(environ),
        _libraries,
        _self_test if self_test else lambda: iter(()),
    ]
    for check in checks:
        yield from check()


def _versions() -> Iterator[Finding]:
    ours = f"timetracer-otel {metadata.version('timetracer-otel')}"
    yield Finding("ok", "version", f"{ours}, Python {platform.python_version()}, {platform.system()}")
    versions = {name: _version(f"opentelemetry-{name}") for name in _OTEL}
    if missing := [f"opentelemetry-{name}" for name, version in versions.items() if version is None]:
        yield Finding("error", "OpenTelemetry", f"missing: pip install {' '.join(missing)}")
    else:
        yield Finding("ok", "OpenTelemetry", ", ".join(f"{name} {version}" for name, version in versions.items()))


def _version(distribution: str) -> str | None:
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return None


def _settings(environ: Mapping[str, str]) -> Iterator[Finding]:
    for name, closest in config.misspelt(environ):
        yield Finding("error", name, config.told(name, closest))
    try:
        settings = config.load(environ)
        sealing.check()
    except TimetracerError as error:
        yield Finding("error", "settings", str(error))
        return
    set_here = sorted(name for name in environ if name.startswith(config.PREFIX) and not name.endswith("KEY"))
    told = f"mode {settings.mode}, cassettes in {settings.dir}"
    yield Finding("ok", "settings", told + (f"; set: {', '.join(set_here)}" if set_here else ""))


def _exporters(environ: Mapping[str, str]) -> Iterator[Finding]:
    installed = {found.name for found in declared("opentelemetry_traces_exporter")}
    wanted = [name.strip() for name in environ.get("OTEL_TRACES_EXPORTER", "").split(",") if name.strip()]
    if not wanted:
        told = "--traces_exporter timetracer records; without it OpenTelemetry's distro asks for otlp"
        if "otlp" not in installed:
            told += ", which is not installed here: pip install 'timetracer-otel[otlp]'"
        yield Finding("note", "exporter", f"OTEL_TRACES_EXPORTER is not set: {told}")
    for name in wanted:
        if name in installed or name in {"none", "console"}:
            yield Finding("ok", "exporter", f"{name} runs")
        else:
            extra = "pip install 'timetracer-otel[otlp]'" if name.startswith("otlp") else "install its package"
            yield Finding("error", "exporter", f"{name} is not installed: nothing is set up then; {extra}")


def _libraries() -> Iterator[Finding]:
    described = {one["name"]: one for one in plugins.describe(discover().values())}
    for integration in sorted(discover().values(), key=lambda one: one.name):
        versions = described[integration.name]["installed"]
        if not versions and any(integration.packages.values()):
            yield Finding("note", integration.name, "not installed")
            continue
        told = ", ".join(f"{name} {version}" for name, version in versions.items()) or "of the standard library"
        instrumentors = described[integration.name]["instrumentors"]
        told += f"; spans by {', '.join(instrumentors) or 'timetracer-otel'}"
        missing = list(_missing(integration))
        if missing:
            yield Finding("warning", integration.name, f"{told}; not there, so not recorded: {', '.join(missing)}")
        else:
            yield Finding("ok", integration.name, told)


def _missing(integration: Integration) -> Iterator[str]:
    """The names that a supported version has, and this one does not."""
    for patch in (*integration.patches, *integration.apps):
        if patch.required and _is_installed(patch.module.partition(".")[0]) and not _is_there(patch):
            yield f"{patch.module}.{patch.name}"


def _is_installed(package: str) -> bool:
    try:
        return util.find_spec(package) is not None
    except ValueError:  # one that was imported and has no spec, as kombu
        return True


def _is_there(patch: Patch) -> bool:
    try:
        owner: Any = importlib.import_module(patch.module)
        for part in patch.name.split("."):
            owner = getattr(owner, part)
    except (ImportError, AttributeError):
        return hasattr(builtins, patch.name)  # which a module of the library then gets as its own
    except Exception:  # noqa: BLE001 - it needs its app, as Django's models need settings: nobody can tell from here
        return True
    return True


def _self_test() -> Iterator[Finding]:
    """Record a program that draws an id and asks a database; replay it with the database gone."""
    with tempfile.TemporaryDirectory(prefix="timetracer-") as name:
        folder = Path(name)
        (folder / "program.py").write_text(_PROGRAM, encoding="utf-8")
        program = [sys.executable, "program.py"]
        recorded = _run([sys.executable, "-c", _RECORD, "--traces_exporter", "timetracer", *program], folder)
        (folder / "self-test.db").unlink(missing_ok=True)
        if recorded.returncode:
            yield Finding("error", "self-test", f"recording failed: {_last_line(recorded.stderr)}")
            return
        replayed = _run([sys.executable, "-c", _REPLAY, "cassettes", "--", *program], folder)
    if replayed.returncode or replayed.stdout != recorded.stdout:
        why = _last_line(replayed.stderr) or "another output"
        yield Finding("error", "self-test", f"a recorded program did not replay: {why}")
    else:
        yield Finding("ok", "self-test", "a program was recorded, and replayed with its database gone")


def _run(command: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    env = {name: value for name, value in os.environ.items() if not name.startswith(("TIMETRACER_", "OTEL_"))}
    try:
        return subprocess.run(
            command, cwd=folder, env=env, capture_output=True, text=True, timeout=_SECONDS, check=False
        )
    except subprocess.TimeoutExpired:
        return subprocess.CompletedProcess(command, 1, "", f"it had not ended after {_SECONDS:.0f} seconds")


def _last_line(text: str) -> str:
    return (text.strip().splitlines() or [""])[-1]


def print_findings(findings: Iterator[Finding]) -> bool:
    """Print findings as they come.

    Args:
        findings: from :func:`examine`.

    Returns:
        Whether none is an error.
    """
    out, good = Printer(console()), True
    for finding in findings:
        good = good and finding.state != "error"
        text = Styled((one_line(finding.what), "bold"), f"  {one_line(finding.told)}")
        before = Styled((finding.state.ljust(_MARK), _STYLES[finding.state]))
        for line in out.wrapped(text, out.width - _MARK):
            out.write(before.extend(line))
            before = Styled(" " * _MARK)
    return good
