"""``timetracer-replay [CASSETTE…] [options] -- COMMAND``: run a program whose calls are answered from a cassette."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from importlib import metadata
from itertools import takewhile
from pathlib import Path
from types import FrameType
from typing import Any, Final

import click
import orjson
from click.exceptions import Exit

from timetracer_otel import config, sealing, usage
from timetracer_otel.cassette import scratch, shelf, storage
from timetracer_otel.errors import CassetteError, ConfigError, TimetracerError, in_words
from timetracer_otel.replay import interpreter, journal
from timetracer_otel.replay.accepting.asking import Questions, everything
from timetracer_otel.replay.arguments import (
    Arguments,
    refuse_options_of_verify,
    refuse_what_contradicts,
    takes_arguments,
)
from timetracer_otel.replay.comparing import ignore
from timetracer_otel.replay.debugged import check as check_debugger
from timetracer_otel.replay.debugged import debugged
from timetracer_otel.replay.env import Environment, environment
from timetracer_otel.replay.verifying import command_line
from timetracer_otel.replay.verifying.client import given_header
from timetracer_otel.replay.verifying.process import BOOT
from timetracer_otel.replay.verifying.report import write

__all__ = ["run", "split_command"]


def split_command(argv: Sequence[str]) -> tuple[list[str], list[str]]:
    """Part our own arguments from the command after ``--``.

    Raises:
        ConfigError: there is no command.
    """
    if "--" not in argv:
        if {"--help", "-h"} & set(argv):
            return list(argv), []
        raise ConfigError("no command to run: timetracer-replay [CASSETTE…] [options] -- COMMAND [arguments]")
    position = list(argv).index("--")
    command = list(argv[position + 1 :])
    if not command:
        raise ConfigError("no command after --: timetracer-replay [CASSETTE…] [options] -- COMMAND [arguments]")
    return list(argv[:position]), command


_EXAMPLES: Final = """\b
Examples:
  timetracer-replay -- flask run
  timetracer-replay cassettes/2026-11-21 -- uvicorn shop.main:app
  timetracer-replay --verify cassettes --junit report.xml -- flask run"""


@click.command(cls=usage.Command, context_settings={"help_option_names": ["--help", "-h"]}, epilog=_EXAMPLES)
@takes_arguments
@click.pass_context
def _replay(context: click.Context, /, **given: Any) -> None:
    """Run COMMAND; its calls are answered from the cassettes. The exit status is the command's own.

    With --verify: 0 when everything matched, 1 when anything did not, 2 when the command line is wrong.
    """
    arguments, command = Arguments(**given), context.obj
    if not arguments.verifies:
        refuse_options_of_verify(context)
    refuse_what_contradicts(arguments)
    check_debugger(arguments)
    interpreter.check(command)
    for name, closest in config.misspelt():
        _say(config.told(name, closest))
    settings = config.load()
    arguments = replace(arguments, cassettes=arguments.cassettes or (settings.cassette,))
    directory = settings.dir
    sealing.check()
    catalog = _catalog(arguments.cassettes, directory, strict=arguments.strict)
    command_line.must_be_writable(arguments.report, arguments.junit, arguments.html, arguments.log)
    chosen = {"TIMETRACER_PACE": arguments.pace, "TIMETRACER_ON_MISS": arguments.on_miss}
    surroundings = environment(
        {**os.environ, **{name: value for name, value in chosen.items() if value}},
        arguments.live,
        arguments.mock,
        detailed=arguments.verifies,
        accepting=arguments.accept,
        traced=arguments.trace,
    )
    if arguments.verifies:
        raise Exit(_verify(command, catalog, surroundings, arguments, directory))
    raise Exit(_run(command, catalog, surroundings, arguments))


def _catalog(cassettes: Sequence[str], directory: Path, *, strict: bool) -> shelf.Catalog:
    """Look through the cassettes before the program is started, which it is not when nothing can be read."""
    left_out: list[CassetteError] = []
    bad = None if strict else left_out
    catalog = shelf.catalog(storage.find(cassettes, directory, left_out=bad), bad)
    for error in left_out:
        _say(f"left out: {error}")
    return catalog


def _verify(
    command: Sequence[str], catalog: shelf.Catalog, surroundings: Environment, arguments: Arguments, directory: Path
) -> int:
    """Send the recorded requests, compare, and give the exit status."""
    from timetracer_otel.replay.verifying.options import Options  # noqa: PLC0415 - stands on all of the verification

    if arguments.trace is not None:
        command_line.must_be_folder(arguments.trace)
    if arguments.ignore_file is not None and not arguments.learn:
        command_line.must_be_there(arguments.ignore_file)
    lists = (
        [arguments.ignore_file]
        if arguments.ignore_file is not None
        else command_line.ignore_files(arguments.cassettes, directory)
    )
    options = Options(
        command=command,
        environment=surroundings,
        url=arguments.url,
        concurrency=arguments.concurrency,
        order=arguments.order,
        workers=arguments.workers,
        shard=command_line.parse_shard(arguments.shard),
        service=arguments.service,
        headers=tuple(map(given_header, arguments.header)),
        unused=arguments.unused,
        wait=arguments.wait,
        timeout=arguments.timeout,
        ignored=ignore.read(lists),
        accept=(Questions().ask if arguments.interactive else everything) if arguments.accept else None,
        log=arguments.log,
    )
    reports = command_line.Reports(json=arguments.report, junit=arguments.junit, html=arguments.html)
    return command_line.check(catalog, options, reports, lists[0] if arguments.learn else None)


def _run(command: Sequence[str], catalog: shelf.Catalog, surroundings: Environment, arguments: Arguments) -> int:
    """Run the command by itself, tell what was answered, and give its exit status."""
    with tempfile.TemporaryDirectory(prefix="timetracer-") as name:
        folder = Path(name)
        with debugged(arguments, catalog, folder) as debugger:
            variables = {**surroundings(catalog, folder), **debugger.variables}
            status = _run_through(command, variables, debugger.leave)
        outcome = journal.Outcome.of(journal.read(folder))
    print(outcome.as_text(), file=sys.stderr)  # noqa: T201 - the command speaks to its user
    if arguments.report is not None:
        write(arguments.report, orjson.dumps(outcome.as_json(), option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE))
    return status


def _run_through(command: Sequence[str], env: Mapping[str, str], leave: Callable[[], None]) -> int:
    """Run the command under OpenTelemetry's auto-instrumentation, hand signals on, give its exit status."""
    process = subprocess.Popen([*BOOT, *command], env=env)

    def forward(number: int, _frame: FrameType | None) -> None:
        process.send_signal(number)
        leave()

    signal.signal(signal.SIGTERM, forward)
    # Ctrl-C reaches the whole process group; we only wait for the program to end.
    signal.signal(signal.SIGINT, lambda *_: leave())
    status = process.wait()
    return 128 - status if status < 0 else status


def run() -> None:
    """The console script."""
    if "--version" in takewhile(lambda word: word != "--", sys.argv[1:]):
        print(f"timetracer-otel {metadata.version('timetracer-otel')}")  # noqa: T201 - the command speaks to its user
        return
    try:
        ours, command = split_command(sys.argv[1:])
        usage.run(_replay, "timetracer-replay", ours, command)
    except TimetracerError as error:
        _say(error)
        sys.exit(2)
    except BrokenPipeError:
        usage.leave_pipe(1)
    except OSError as error:
        _say(in_words(error))
        sys.exit(2)


def _say(what: object) -> None:
    print(f"timetracer-replay: {scratch.named(str(what))}", file=sys.stderr)  # noqa: T201 - the command speaks to its user
