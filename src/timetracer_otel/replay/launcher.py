"""``timetracer-replay CASSETTE… [options] -- COMMAND``: run a program whose calls are answered from a cassette."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import FrameType
from typing import Annotated

import orjson
import typer

from timetracer_otel import config
from timetracer_otel.cassette import loading, storage
from timetracer_otel.errors import ConfigError, TimetracerError
from timetracer_otel.replay import journal

__all__ = ["environment", "run", "split_command"]

_BOOT = "from opentelemetry.instrumentation.auto_instrumentation import run; run()"

app = typer.Typer(add_completion=False, rich_markup_mode=None)


def split_command(argv: Sequence[str]) -> tuple[list[str], list[str]]:
    """Part our own arguments from the command after ``--``.

    Raises:
        ConfigError: there is no command.
    """
    if "--" not in argv:
        if {"--help", "-h"} & set(argv):
            return list(argv), []
        raise ConfigError("no command to run: timetracer-replay CASSETTE… [options] -- COMMAND [arguments]")
    position = list(argv).index("--")
    command = list(argv[position + 1 :])
    if not command:
        raise ConfigError("no command after --: timetracer-replay CASSETTE… [options] -- COMMAND [arguments]")
    return list(argv[:position]), command


def environment(
    cassettes: Sequence[Path], live: Sequence[str], mock: Sequence[str], folder: Path, base: Mapping[str, str]
) -> dict[str, str]:
    """Give the environment of a replayed program, which its children inherit.

    Args:
        cassettes: files to answer from.
        live: integrations that go out.
        mock: when not empty, the only integrations that are answered.
        folder: for the journals.
        base: the environment to start from.
    """
    ours = {
        "TIMETRACER_MODE": "replay",
        "TIMETRACER_CASSETTE": os.pathsep.join(str(file.resolve()) for file in cassettes),
        journal.JOURNAL_VARIABLE: str(folder),
        "OTEL_TRACES_EXPORTER": "none",
        "OTEL_METRICS_EXPORTER": "none",
        "OTEL_LOGS_EXPORTER": "none",
    }
    plugins = {"TIMETRACER_LIVE_PLUGINS": live, "TIMETRACER_MOCK_PLUGINS": mock}
    return {**base, **ours, **{name: ",".join(names) for name, names in plugins.items() if names}}


@app.command()
def _replay(
    context: typer.Context,
    cassettes: Annotated[list[str], typer.Argument(help="Files, directories, globs, or 'latest'.", metavar="CASSETTE…")],
    live: Annotated[list[str] | None, typer.Option(help="An integration that goes out for real; may be repeated.")] = None,
    mock: Annotated[list[str] | None, typer.Option(help="Answer only this integration; may be repeated.")] = None,
    report: Annotated[Path | None, typer.Option(help="Write the report as JSON to this file.")] = None,
) -> None:
    """Run COMMAND; its calls are answered from the cassettes. The exit status is the command's own."""
    command: list[str] = context.obj
    if shutil.which(command[0]) is None:
        raise ConfigError(f"{command[0]}: there is no such command; is its virtual environment active?")
    files = storage.find(cassettes, config.load().dir)
    loading.load(files)  # a cassette that cannot be read must not start the program
    with tempfile.TemporaryDirectory(prefix="timetracer-") as folder:
        status = _run(command, environment(files, live or [], mock or [], Path(folder), os.environ))
        outcome = journal.Outcome.of(journal.read(Path(folder)))
    print(outcome.as_text(), file=sys.stderr)
    if report is not None:
        _write_report(report, outcome)
    raise typer.Exit(status)


def _write_report(file: Path, outcome: journal.Outcome) -> None:
    try:
        file.write_bytes(orjson.dumps(outcome.as_json(), option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE))
    except OSError as error:
        raise ConfigError(f"the report {file} cannot be written: {error.strerror}") from error


def _run(command: Sequence[str], env: Mapping[str, str]) -> int:
    """Run the command under OpenTelemetry's auto-instrumentation, hand signals on, give its exit status."""
    process = subprocess.Popen([sys.executable, "-c", _BOOT, *command], env=env)

    def forward(number: int, _frame: FrameType | None) -> None:
        process.send_signal(number)

    signal.signal(signal.SIGTERM, forward)
    # Ctrl-C reaches the whole process group; we only wait for the program to end.
    signal.signal(signal.SIGINT, lambda *_: None)
    status = process.wait()
    return 128 - status if status < 0 else status


def run() -> None:
    """The console script."""
    try:
        ours, command = split_command(sys.argv[1:])
        app(ours, prog_name="timetracer-replay", obj=command)
    except TimetracerError as error:
        print(f"timetracer-replay: {error}", file=sys.stderr)
        sys.exit(2)
