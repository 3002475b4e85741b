"""The real collector, with the configuration that this repository ships."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from examples.support import Program, accepts, free_port

ROOT = Path(__file__).resolve().parents[2]
CONFIGURATION = ROOT / "otel-collector.yaml"
_COMMENTED = re.compile(r"^(?P<indent> *)#(?P<code>\S.*|  .*)$")
_BUILD_SECONDS = 15 * 60


def uncommented(configuration: str, *names: str) -> str:
    """Put settings into force that stand commented in a configuration, with all that is commented right below them.

    Args:
        configuration: the file's text.
        names: as the settings begin, such as ``otlp_grpc:``.
    """
    lines, taking = [], False
    for line in configuration.splitlines():
        found = _COMMENTED.match(line)
        if found is None:
            taking = False
        elif not found["code"].startswith(" "):
            taking = found["code"].startswith(names)
        lines.append(found["indent"] + found["code"] if found is not None and taking else line)
    return "\n".join(lines)


@pytest.fixture(scope="session")
def otelcol() -> str:
    """The path of a collector; built when there is none."""
    done = subprocess.run(
        [str(ROOT / "scripts" / "install-otelcol")],
        capture_output=True,
        text=True,
        timeout=_BUILD_SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


class Collector:
    """The collector on free ports of loopback.

    Args:
        binary: the program.
        folder: for its configuration and what it writes.
        configuration: the text of its configuration.
        env: settings of that.
    """

    def __init__(self, binary: str, folder: Path, configuration: str, **env: str) -> None:
        self.files = folder / "cassettes"
        self._binary = binary
        self._folder = folder
        self._grpc, self._http, health = free_port(), free_port(), free_port()
        self._env = {
            "OTELCOL_GRPC": f"127.0.0.1:{self._grpc}",
            "OTELCOL_HTTP": f"127.0.0.1:{self._http}",
            "OTELCOL_HEALTH": f"127.0.0.1:{health}",
            "TIMETRACER_DIR": str(self.files),
            **env,
        }
        (folder / "otel-collector.yaml").write_text(configuration, encoding="utf-8")
        self._program: Program | None = None

    @property
    def log(self) -> Path:
        """What it prints."""
        return self._folder / "otelcol.log"

    def settings(self, protocol: str) -> dict[str, str]:
        """The environment of a program that sends to it.

        Args:
            protocol: ``grpc`` or ``http/protobuf``.
        """
        port = self._grpc if protocol == "grpc" else self._http
        return {
            "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{port}",
            "OTEL_EXPORTER_OTLP_PROTOCOL": protocol,
            "OTEL_METRICS_EXPORTER": "none",
            "OTEL_LOGS_EXPORTER": "none",
            "TIMETRACER_MODE": "record",
        }

    def start(self) -> None:
        """Start it and wait until it accepts OTLP."""
        command = [self._binary, "--config", "otel-collector.yaml"]
        self._program = Program(command, log=self.log, env={**os.environ, **self._env}, cwd=self._folder)
        self._program.wait_for_port(self._grpc)
        self._program.wait_for_port(self._http)

    def kill(self) -> None:
        """End it at once, as ``kill -9`` does."""
        assert self._program is not None
        self._program.kill()
        assert not accepts(self._grpc)

    def stop(self) -> None:
        """End it as an operator does."""
        assert self._program is not None
        self._program.stop()


@pytest.fixture
def collector(otelcol: str, tmp_path: Path) -> Iterator[Callable[..., Collector]]:
    """Starts a collector: ``collector()``, or with the text of a configuration and settings of it."""
    started: list[Collector] = []

    def start(configuration: str = "", **env: str) -> Collector:
        folder = tmp_path / f"collector-{len(started)}"
        folder.mkdir()
        one = Collector(otelcol, folder, configuration or CONFIGURATION.read_text(encoding="utf-8"), **env)
        started.append(one)
        one.start()
        return one

    yield start
    for one in started:
        one.kill()
