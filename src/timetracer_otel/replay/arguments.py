"""The command line of ``timetracer-replay`` as one object."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal, TypeVar

import click

from timetracer_otel.errors import ConfigError
from timetracer_otel.usage import FILE, PLACE, argument

__all__ = ["Arguments", "refuse_options_of_verify", "refuse_what_contradicts", "takes_arguments"]

_ONLY_VERIFY = (
    "junit", "html", "trace", "log", "ignore_file", "url", "concurrency", "order", "workers", "shard", "service",
    "header", "unused", "wait", "timeout", "accept", "interactive",
)  # fmt: skip
_Declared = TypeVar("_Declared", bound=Callable[..., Any])


class _Seconds(click.FloatRange):
    """Seconds, of which there are none or more: not a number is neither."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        seconds = super().convert(value, param, ctx)
        if math.isnan(seconds):
            self.fail(f"{value!r} is no number of seconds.", param, ctx)
        return float(seconds)


_SECONDS: Final = _Seconds(min=0.0)
_COUNT: Final = click.IntRange(min=1)
_DECLARED: Final = (
    argument(
        "cassettes",
        metavar="[CASSETTE…]",
        nargs=-1,
        type=PLACE,
        meaning="Files, directories, globs, URLs, or 'latest': the newest lane or script, which is the default.",
    ),
    click.option(
        "--live", metavar="NAME", multiple=True, help="An integration that goes out for real; may be repeated."
    ),
    click.option("--mock", metavar="NAME", multiple=True, help="Answer only this integration; may be repeated."),
    click.option(
        "--pace",
        type=click.Choice(["none", "recorded"]),
        help="Answer at once, or after the time that each call took in the recording.",
    ),
    click.option(
        "--on-miss",
        type=click.Choice(["fail", "nearest", "live"]),
        help="At a call that was not recorded: fail (the default), answer with the nearest recorded call of that "
        "address and mark what rests on it as assumed, or let it go out live.",
    ),
    click.option("--debug", metavar="pdb|dap[:PORT]", help="Run one lane under a debugger, see docs/debugging.md."),
    click.option("--break-at", metavar="SPAN", help="Debug: stop before the line that makes this recorded call."),
    click.option("--report", metavar="FILE.json", type=FILE, help="Write the report as JSON to this file."),
    click.option(
        "--strict", is_flag=True, help="Refuse to run when a cassette cannot be read, instead of leaving it out."
    ),
    click.option("--verify", is_flag=True, help="Send the recorded requests; compare responses and calls."),
    click.option(
        "--accept",
        is_flag=True,
        help="Verify; write what differs into the cassettes. The old ones stay beside them, as .old.",
    ),
    click.option("--interactive", "-i", is_flag=True, help="Accept: ask for each difference (y, n, all, quit)."),
    click.option("--learn", is_flag=True, help="Verify twice; propose a list of what may differ."),
    click.option("--junit", metavar="FILE.xml", type=FILE, help="Verify: write JUnit XML."),
    click.option("--html", metavar="FILE.html", type=FILE, help="Verify: write an HTML page."),
    click.option("--trace", metavar="DIR", type=FILE, help="Verify: write the replay's own trace as cassettes."),
    click.option("--log", metavar="FILE", type=FILE, help="Verify: keep what the command prints."),
    click.option("--ignore", "ignore_file", metavar="FILE.toml", type=FILE, help="Verify: another ignore list."),
    click.option("--url", metavar="URL", default="", help="Verify: where the command listens; found out by default."),
    click.option(
        "--concurrency",
        metavar="N",
        type=_COUNT,
        default=1,
        show_default=True,
        help="Verify: requests under way at a time.",
    ),
    click.option(
        "--order",
        type=click.Choice(["recorded", "cookies"]),
        default="recorded",
        show_default=True,
        help="Verify: as recorded, or in order for each Cookie.",
    ),
    click.option(
        "--workers",
        metavar="N",
        type=_COUNT,
        default=1,
        show_default=True,
        help="Verify: instances of the command, each on a port of its own.",
    ),
    click.option("--shard", metavar="i/n", default="1/1", show_default=True, help="Verify only one of n equal parts."),
    click.option("--service", metavar="NAME", default="", help="Verify the requests of this service.name."),
    click.option(
        "--header",
        metavar="'Name: value'",
        multiple=True,
        help="Verify: send this header instead of the recorded one.",
    ),
    click.option(
        "--unused",
        type=click.Choice(["error", "warn", "ignore"]),
        default="error",
        show_default=True,
        help="Verify: what recorded calls are that were not asked for.",
    ),
    click.option(
        "--wait",
        metavar="SECONDS",
        type=_SECONDS,
        default=30.0,
        show_default=True,
        help="Verify: seconds until the command must listen.",
    ),
    click.option(
        "--timeout",
        metavar="SECONDS",
        type=_SECONDS,
        default=60.0,
        show_default=True,
        help="Verify: seconds that a response, or a script, may take.",
    ),
)
"""The arguments and options, in the order of ``--help``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Arguments:
    """The arguments and options, as click has read them; their help says what they mean."""

    cassettes: tuple[str, ...]
    live: tuple[str, ...]
    mock: tuple[str, ...]
    pace: Literal["none", "recorded"] | None
    on_miss: Literal["fail", "nearest", "live"] | None
    debug: str | None
    break_at: str | None
    report: Path | None
    strict: bool
    verify: bool
    accept: bool
    interactive: bool
    learn: bool
    junit: Path | None
    html: Path | None
    trace: Path | None
    log: Path | None
    ignore_file: Path | None
    url: str
    concurrency: int
    order: Literal["recorded", "cookies"]
    workers: int
    shard: str
    service: str
    header: tuple[str, ...]
    unused: Literal["error", "warn", "ignore"]
    wait: float
    timeout: float

    @property
    def verifies(self) -> bool:
        """Whether requests are sent and compared, rather than the command run by itself."""
        return self.verify or self.learn


def takes_arguments(command: _Declared) -> _Declared:
    """Let click give a command the fields of :class:`Arguments` as keywords.

    Args:
        command: takes whatever the fields are.
    """
    for declare in reversed(_DECLARED):
        command = declare(command)
    return command


def refuse_options_of_verify(context: click.Context) -> None:
    """Refuse what only means something with ``--verify``.

    Args:
        context: knows what the user has typed.

    Raises:
        ConfigError: there is such an option.
    """
    for name in _ONLY_VERIFY:
        source = context.get_parameter_source(name)
        if source is not None and source.name == "COMMANDLINE":
            raise ConfigError(f"--{name.removesuffix('_file')} goes with --verify: add it")


def refuse_what_contradicts(arguments: Arguments) -> None:
    """Refuse options of which one makes the other mean nothing.

    Args:
        arguments: as given.

    Raises:
        ConfigError: there are such options.
    """
    if arguments.interactive and not arguments.accept:
        raise ConfigError("--interactive goes with --accept: add it")
    if arguments.accept and arguments.learn:
        raise ConfigError("--accept writes a baseline and --learn a list of what may differ: choose one")
