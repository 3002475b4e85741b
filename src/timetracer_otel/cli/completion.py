"""``--install-completion`` and ``--show-completion``: the user's shell completes ``timetracer``, by click."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Final

import click

from timetracer_otel.errors import ConfigError

__all__ = ["answer", "install", "show"]

_PROGRAM: Final = "timetracer"
_VARIABLE: Final = "_TIMETRACER_COMPLETE"
"""By it the script asks what may come next."""
_SCRIPTS: Final = {
    "bash": ".bash_completions/timetracer.sh",
    "zsh": ".zfunc/_timetracer",
    "fish": ".config/fish/completions/timetracer.fish",
}
"""Where in the home directory the script of each shell lies."""
_STARTUP: Final = {
    "bash": (".bashrc", "source ~/.bash_completions/timetracer.sh"),
    "zsh": (".zshrc", "fpath+=~/.zfunc; autoload -Uz compinit; compinit"),
}
"""The file that a shell reads when it starts, and the line that it needs there. Fish finds its script by itself."""


def answer(program: click.Command) -> None:
    """Answer the script of a shell, if it is that which asks.

    Args:
        program: whose command line is completed.

    Raises:
        SystemExit: it was.
    """
    if asked := os.environ.get(_VARIABLE):
        from click.shell_completion import shell_complete  # noqa: PLC0415 - only this needs it

        sys.exit(shell_complete(program, {}, _PROGRAM, _VARIABLE, asked))


def show(context: click.Context, _option: click.Parameter, wanted: bool) -> None:  # noqa: FBT001 - click calls it so
    """Print the script of the user's shell, as the callback of an option.

    Args:
        context: of the program.
        wanted: whether the option was given.

    Raises:
        ConfigError: there is none for this shell.
    """
    if wanted and not context.resilient_parsing:
        click.echo(_script(context.command, _shell()))
        context.exit()


def install(context: click.Context, _option: click.Parameter, wanted: bool) -> None:  # noqa: FBT001 - click calls it so
    """Write the script of the user's shell where the shell finds it, as the callback of an option.

    Args:
        context: of the program.
        wanted: whether the option was given.

    Raises:
        ConfigError: there is none for this shell.
        OSError: a file cannot be written.
    """
    if not wanted or context.resilient_parsing:
        return
    shell = _shell()
    script = Path.home() / _SCRIPTS[shell]
    script.parent.mkdir(parents=True, exist_ok=True)
    script.write_text(_script(context.command, shell), encoding="utf-8")
    if shell in _STARTUP:
        name, line = _STARTUP[shell]
        _add_line(Path.home() / name, line)
    click.echo(f"{shell} completion installed in {script}")
    click.echo("Completion will take effect once you restart the terminal")
    context.exit()


def _shell() -> str:
    """The user's shell, as the environment says it."""
    named = os.environ.get("SHELL", "")
    shell = Path(named).name
    if shell not in _SCRIPTS:
        raise ConfigError(f"SHELL={named} is no shell that can complete: set it to bash, zsh or fish")
    return shell


def _script(program: click.Command, shell: str) -> str:
    from click.shell_completion import get_completion_class  # noqa: PLC0415 - as above

    completion = get_completion_class(shell)
    if completion is None:
        raise ConfigError(f"click has no completion for {shell}: update click")
    return completion(program, {}, _PROGRAM, _VARIABLE).source()


def _add_line(file: Path, line: str) -> None:
    """Add a line to a file of the user's, once."""
    text = file.read_text(encoding="utf-8", errors="surrogateescape") if file.exists() else ""
    if line in text.splitlines():
        return
    line_end = "" if not text or text.endswith("\n") else "\n"
    with file.open("a", encoding="utf-8") as opened:
        opened.write(f"{line_end}{line}\n")
