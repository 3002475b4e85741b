"""What both command lines have beyond click's: arguments with a description, and exit statuses of their own."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, TypeVar

import click
from click.exceptions import Exit

__all__ = ["FILE", "PLACE", "Argument", "Command", "Commands", "argument", "leave_pipe", "run"]

_Declared = TypeVar("_Declared", bound=Callable[..., Any])

PLACE: Final = click.Path(readable=False)
"""A file, directory, glob or URL: kept as it is typed, and shells complete it as a file."""
FILE: Final = click.Path(readable=False, path_type=Path)
"""A file or directory of this machine, mostly one to write: whether it can be is said by who writes it."""
_INTERRUPTED: Final = 130
"""The exit status after Ctrl-C: 128 and the number of SIGINT."""


class Argument(click.Argument):
    """An argument that ``--help`` describes. Click's own can from 8.5 on, and we run on older ones too.

    Args:
        declared: its name.
        meaning: what it is, in words.
        more: as of click's arguments.
    """

    def __init__(self, declared: list[str], *, meaning: str, **more: Any) -> None:
        super().__init__(declared, **more)
        self.meaning = f"{meaning}  [required]" if self.required else meaning


def argument(name: str, *, metavar: str, meaning: str, **more: Any) -> Callable[[_Declared], _Declared]:
    """Declare an argument of a command.

    Args:
        name: of the function's keyword.
        metavar: how ``--help`` and errors call it; in brackets when it may be left out.
        meaning: what it is, in words.
        more: as of :func:`click.argument`.

    Returns:
        A decorator.
    """
    return click.argument(name, cls=Argument, metavar=metavar, meaning=meaning, **more)


class Command(click.Command):
    """A command whose ``--help`` describes its arguments above its options."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write what stands between the description and the examples."""
        described = [
            (one.human_readable_name, one.meaning) for one in self.get_params(ctx) if isinstance(one, Argument)
        ]
        if described:
            with formatter.section("Arguments"):
                formatter.write_dl(described)
        super().format_options(ctx, formatter)


class Commands(click.Group):
    """Commands of one program, in the order of their declaration. Without the name of one it prints its help."""

    command_class = Command

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Name the commands as ``--help`` lists them."""
        return list(self.commands)

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Read what stands before the name of the command. Click before 8.2 gives no status to a missing name."""
        if not args and not ctx.resilient_parsing:
            click.echo(ctx.get_help(), err=True)
            ctx.exit(2)
        return super().parse_args(ctx, args)


def run(program: click.Command, name: str, arguments: list[str], told: object = None) -> None:
    """Run a program as click's own ``main`` does, but that Ctrl-C has a shell's status and a closed pipe is an error.

    Args:
        program: a command, or several.
        name: how errors and ``--help`` call it.
        arguments: what was typed behind its name.
        told: what the command finds as ``obj`` in its context.

    Raises:
        SystemExit: the command has a status of its own, or the command line is wrong.
    """
    try:
        with program.make_context(name, arguments, obj=told) as context:
            program.invoke(context)
    except Exit as end:
        sys.exit(end.exit_code)
    except click.ClickException as mistake:
        mistake.show()
        sys.exit(mistake.exit_code)
    except KeyboardInterrupt:
        sys.exit(_INTERRUPTED)


def leave_pipe(status: object) -> None:
    """End without a word: the reader of our output, such as ``head``, has what it wanted.

    Args:
        status: of the program; 0 when it is no number.

    Raises:
        SystemExit: always.
    """
    nowhere = os.open(os.devnull, os.O_WRONLY)
    with contextlib.suppress(OSError):  # stdout may be closed already
        os.dup2(nowhere, sys.stdout.fileno())
    sys.exit(status if isinstance(status, int) else 0)
