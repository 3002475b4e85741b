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
from typing import Annotated, Literal

import orjson
import typer

from timetracer_otel import config, sealing
from timetracer_otel.cassette import scratch, shelf, storage
from timetracer_otel.errors import CassetteError, ConfigError, TimetracerError
from timetracer_otel.replay import journal
from timetracer_otel.replay.comparing import ignore
from timetracer_otel.replay.env import Environment, environment
from timetracer_otel.replay.verifying import command_line
from timetracer_otel.replay.verifying.client import given_header
from timetracer_otel.replay.verifying.options import Options
from timetracer_otel.replay.verifying.process import BOOT
from timetracer_otel.replay.verifying.report import write

__all__ = ["run", "split_command"]

app = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)


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


_ONLY_VERIFY = (
    "junit", "html", "trace", "log", "ignore_file", "url", "concurrency", "order", "workers", "shard", "service",
    "header", "unused", "wait", "timeout",
)  # fmt: skip
_File = Path | None
_Names = list[str] | None


@app.command()
def _replay(  # noqa: PLR0913, PLR0917 - the options of a command line
    context: typer.Context,
    cassettes: Annotated[
        list[str], typer.Argument(help="Files, directories, globs, URLs, or 'latest'.", metavar="CASSETTE…")
    ],
    live: Annotated[_Names, typer.Option(help="An integration that goes out for real; may be repeated.")] = None,
    mock: Annotated[_Names, typer.Option(help="Answer only this integration; may be repeated.")] = None,
    report: Annotated[_File, typer.Option(help="Write the report as JSON to this file.")] = None,
    strict: Annotated[  # noqa: FBT002 - Typer's way to declare a flag
        bool, typer.Option("--strict", help="Refuse to run when a cassette cannot be read, instead of leaving it out.")
    ] = False,
    verify: Annotated[  # noqa: FBT002 - Typer's way to declare a flag
        bool, typer.Option("--verify", help="Send the recorded requests; compare responses and calls.")
    ] = False,
    learn: Annotated[bool, typer.Option("--learn", help="Verify twice; propose a list of what may differ.")] = False,  # noqa: FBT002 - as above
    junit: Annotated[_File, typer.Option(help="Verify: write JUnit XML.", metavar="FILE.xml")] = None,
    html: Annotated[_File, typer.Option(help="Verify: write an HTML page.", metavar="FILE.html")] = None,
    trace: Annotated[
        _File, typer.Option(help="Verify: write the replay's own trace as cassettes.", metavar="DIR")
    ] = None,
    log: Annotated[_File, typer.Option(help="Verify: keep what the command prints.", metavar="FILE")] = None,
    ignore_file: Annotated[
        _File, typer.Option("--ignore", help="Verify: another ignore list.", metavar="FILE.toml")
    ] = None,
    url: Annotated[str, typer.Option(help="Verify: where the command listens; found out by default.")] = "",
    concurrency: Annotated[int, typer.Option(min=1, help="Verify: requests under way at a time.")] = 1,
    order: Annotated[
        Literal["recorded", "cookies"], typer.Option(help="Verify: as recorded, or in order for each Cookie.")
    ] = "recorded",
    workers: Annotated[
        int, typer.Option(min=1, help="Verify: instances of the command, each on a port of its own.")
    ] = 1,
    shard: Annotated[str, typer.Option(help="Verify only one of n equal parts.", metavar="i/n")] = "1/1",
    service: Annotated[str, typer.Option(help="Verify the requests of this service.name.")] = "",
    header: Annotated[
        _Names, typer.Option(help="Verify: send this header instead of the recorded one.", metavar="'Name: value'")
    ] = None,
    unused: Annotated[
        Literal["error", "warn", "ignore"],
        typer.Option(help="Verify: what recorded calls are that were not asked for."),
    ] = "error",
    wait: Annotated[float, typer.Option(min=0.0, help="Verify: seconds until the command must listen.")] = 30.0,
    timeout: Annotated[
        float, typer.Option(min=0.0, help="Verify: seconds that a response, or a script, may take.")
    ] = 60.0,
) -> None:
    """Run COMMAND; its calls are answered from the cassettes. The exit status is the command's own.

    With --verify: 0 when everything matched, 1 when anything did not.
    """
    command: list[str] = context.obj
    checks = verify or learn
    if not checks:
        _refuse_options_of_verify(context)
    if shutil.which(command[0]) is None:
        raise ConfigError(f"{command[0]}: there is no such command; is its virtual environment active?")
    directory = config.load().dir
    sealing.check()
    left_out: list[CassetteError] = []
    # Before the program is started, which it is not when nothing can be read.
    catalog = shelf.catalog(storage.find(cassettes, directory), None if strict else left_out)
    for error in left_out:
        _say(f"left out: {error}")
    command_line.must_be_writable(report, junit, html, log)
    surroundings = environment(os.environ, live or [], mock or [], detailed=checks, traced=trace)
    if not checks:
        raise typer.Exit(_run(command, catalog, surroundings, report))
    if trace is not None:
        command_line.must_be_folder(trace)
    if ignore_file is not None and not learn:
        command_line.must_be_there(ignore_file)
    lists = [ignore_file] if ignore_file is not None else command_line.ignore_files(cassettes, directory)
    options = Options(
        command=command,
        environment=surroundings,
        url=url,
        concurrency=concurrency,
        order=order,
        workers=workers,
        shard=command_line.parse_shard(shard),
        service=service,
        headers=tuple(map(given_header, header or [])),
        unused=unused,
        wait=wait,
        timeout=timeout,
        ignored=ignore.read(lists),
        log=log,
    )
    reports = command_line.Reports(json=report, junit=junit, html=html)
    raise typer.Exit(command_line.check(catalog, options, reports, lists[0] if learn else None))


def _refuse_options_of_verify(context: typer.Context) -> None:
    for name in _ONLY_VERIFY:
        source = context.get_parameter_source(name)
        if source is not None and source.name == "COMMANDLINE":
            raise ConfigError(f"--{name.removesuffix('_file')} goes with --verify: add it")


def _run(command: Sequence[str], catalog: shelf.Catalog, surroundings: Environment, report: Path | None) -> int:
    """Run the command by itself, tell what was answered, and give its exit status."""
    with tempfile.TemporaryDirectory(prefix="timetracer-") as folder:
        status = _run_through(command, surroundings(catalog, Path(folder)))
        outcome = journal.Outcome.of(journal.read(Path(folder)))
    print(outcome.as_text(), file=sys.stderr)  # noqa: T201 - the command speaks to its user
    if report is not None:
        write(report, orjson.dumps(outcome.as_json(), option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE))
    return status


def _run_through(command: Sequence[str], env: Mapping[str, str]) -> int:
    """Run the command under OpenTelemetry's auto-instrumentation, hand signals on, give its exit status."""
    process = subprocess.Popen([*BOOT, *command], env=env)

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
        _say(error)
        sys.exit(2)


def _say(what: object) -> None:
    print(f"timetracer-replay: {scratch.named(str(what))}", file=sys.stderr)  # noqa: T201 - the command speaks to its user
