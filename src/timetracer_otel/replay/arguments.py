"""The command line of ``timetracer-replay`` as one object."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import MISSING, dataclass, fields
from pathlib import Path
from typing import Annotated, Any, Literal, get_type_hints

import typer

from timetracer_otel.errors import ConfigError

__all__ = ["Arguments", "refuse_options_of_verify", "refuse_what_contradicts", "takes_arguments"]

_ONLY_VERIFY = (
    "junit", "html", "trace", "log", "ignore_file", "url", "concurrency", "order", "workers", "shard", "service",
    "header", "unused", "wait", "timeout", "accept", "interactive",
)  # fmt: skip
_File = Path | None
_Names = list[str] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Arguments:
    """The arguments and options, as Typer has read them; their help says what they mean."""

    cassettes: Annotated[
        _Names,
        typer.Argument(
            help="Files, directories, globs, URLs, or 'latest': the newest lane or script, which is the default.",
            metavar="[CASSETTE…]",
            show_default=False,
        ),
    ] = None
    live: Annotated[
        _Names, typer.Option(help="An integration that goes out for real; may be repeated.", metavar="NAME")
    ] = None
    mock: Annotated[_Names, typer.Option(help="Answer only this integration; may be repeated.", metavar="NAME")] = None
    pace: Annotated[
        Literal["none", "recorded"] | None,
        typer.Option(
            help="Answer at once, or after the time that each call took in the recording.", show_default=False
        ),
    ] = None
    on_miss: Annotated[
        Literal["fail", "nearest", "live"] | None,
        typer.Option(
            help="At a call that was not recorded: fail (the default), answer with the nearest recorded call of that "
            "address and mark what rests on it as assumed, or let it go out live.",
            show_default=False,
        ),
    ] = None
    debug: Annotated[
        str | None,
        typer.Option(help="Run one lane under a debugger, see docs/debugging.md.", metavar="pdb|dap[:PORT]"),
    ] = None
    break_at: Annotated[
        str | None,
        typer.Option(help="Debug: stop before the line that makes this recorded call.", metavar="SPAN"),
    ] = None
    report: Annotated[_File, typer.Option(help="Write the report as JSON to this file.", metavar="FILE.json")] = None
    strict: Annotated[
        bool, typer.Option("--strict", help="Refuse to run when a cassette cannot be read, instead of leaving it out.")
    ] = False
    verify: Annotated[
        bool, typer.Option("--verify", help="Send the recorded requests; compare responses and calls.")
    ] = False
    accept: Annotated[
        bool,
        typer.Option(
            "--accept",
            help="Verify; write what differs into the cassettes. The old ones stay beside them, as .old.",
        ),
    ] = False
    interactive: Annotated[
        bool, typer.Option("--interactive", "-i", help="Accept: ask for each difference (y, n, all, quit).")
    ] = False
    learn: Annotated[bool, typer.Option("--learn", help="Verify twice; propose a list of what may differ.")] = False
    junit: Annotated[_File, typer.Option(help="Verify: write JUnit XML.", metavar="FILE.xml")] = None
    html: Annotated[_File, typer.Option(help="Verify: write an HTML page.", metavar="FILE.html")] = None
    trace: Annotated[_File, typer.Option(help="Verify: write the replay's own trace as cassettes.", metavar="DIR")] = (
        None
    )
    log: Annotated[_File, typer.Option(help="Verify: keep what the command prints.", metavar="FILE")] = None
    ignore_file: Annotated[
        _File, typer.Option("--ignore", help="Verify: another ignore list.", metavar="FILE.toml")
    ] = None
    url: Annotated[
        str, typer.Option(help="Verify: where the command listens; found out by default.", metavar="URL")
    ] = ""
    concurrency: Annotated[int, typer.Option(min=1, help="Verify: requests under way at a time.", metavar="N")] = 1
    order: Annotated[
        Literal["recorded", "cookies"], typer.Option(help="Verify: as recorded, or in order for each Cookie.")
    ] = "recorded"
    workers: Annotated[
        int, typer.Option(min=1, help="Verify: instances of the command, each on a port of its own.", metavar="N")
    ] = 1
    shard: Annotated[str, typer.Option(help="Verify only one of n equal parts.", metavar="i/n")] = "1/1"
    service: Annotated[str, typer.Option(help="Verify the requests of this service.name.", metavar="NAME")] = ""
    header: Annotated[
        _Names, typer.Option(help="Verify: send this header instead of the recorded one.", metavar="'Name: value'")
    ] = None
    unused: Annotated[
        Literal["error", "warn", "ignore"],
        typer.Option(help="Verify: what recorded calls are that were not asked for."),
    ] = "error"
    wait: Annotated[
        float, typer.Option(min=0.0, help="Verify: seconds until the command must listen.", metavar="SECONDS")
    ] = 30.0
    timeout: Annotated[
        float, typer.Option(min=0.0, help="Verify: seconds that a response, or a script, may take.", metavar="SECONDS")
    ] = 60.0

    @property
    def verifies(self) -> bool:
        """Whether requests are sent and compared, rather than the command run by itself."""
        return self.verify or self.learn


def takes_arguments(command: Callable[..., None]) -> Callable[..., None]:
    """Let Typer give a command, besides its context, the fields of :class:`Arguments` as keywords.

    Args:
        command: takes the context, then whatever the fields are.
    """
    kinds = get_type_hints(Arguments, include_extras=True)
    context = inspect.Parameter("context", inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=typer.Context)
    options = [
        inspect.Parameter(
            field.name,
            inspect.Parameter.KEYWORD_ONLY,
            default=inspect.Parameter.empty if field.default is MISSING else field.default,
            annotation=kinds[field.name],
        )
        for field in fields(Arguments)
    ]
    signature: Any = inspect.Signature([context, *options])
    command.__signature__ = signature  # type: ignore[attr-defined]  # where inspect.signature() looks first
    return command


def refuse_options_of_verify(context: typer.Context) -> None:
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
