"""``timetracer_otel.command``: what a command does is an entry, as a block, a function, or the whole process."""

from __future__ import annotations

import functools
import inspect
import os
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self, TypeVar, overload

from timetracer_otel.families.entry.running import Running
from timetracer_otel.families.kinds.command import Command
from timetracer_otel.families.messaging import working
from timetracer_otel.seams import faults, streams
from timetracer_otel.seams.command_line import PythonCommand
from timetracer_otel.seams.lanes import entering
from timetracer_otel.seams.streams import Passed, Reader

__all__ = ["CommandBlock", "command", "command_of_process"]

_F = TypeVar("_F", bound=Callable[..., Any])


def command_of_process() -> Command:
    """The command that this process was started as."""
    argv = PythonCommand.of(sys.orig_argv) or PythonCommand.of(["python", *sys.orig_argv[1:]])
    assert argv is not None  # noqa: S101 - the second is always one
    target = argv.target[-1:] or ("python",)
    if argv.target[:1] == ("-m",):
        name = target[0].rpartition(".")[2]
    else:
        name = "python" if argv.target[:1] == ("-c",) else Path(target[0]).stem
    return Command(name, list(argv.arguments))


@overload
def command(name: str, *arguments: object) -> CommandBlock: ...
@overload
def command(name: _F) -> _F: ...
def command(name: str | Callable[..., Any], *arguments: object) -> Any:
    """Let what runs in a ``with`` block, or in a function, be a command: an entry with a lane of its own.

    The block has what it read from stdin and wrote to stdout and stderr, the exit status that it would end a process
    with, and its calls. Inside another entry it is a part of that. In a replay it follows the recorded lane of its name
    and arguments::

        with timetracer_otel.command("sync-prices", "--day", day):
            ...

        @timetracer_otel.command("sync-prices")
        def sync(day): ...

    Args:
        name: of the command; a function itself, where the decorator is used without parentheses.
        arguments: what it is told. Those of a function are added by their names.

    Returns:
        A context manager, which is a decorator of functions and coroutine functions, too.
    """
    if callable(name):
        return CommandBlock(getattr(name, "__name__", "command"), ())(name)
    return CommandBlock(name, arguments)


class CommandBlock:
    """What :func:`command` gives.

    Args:
        name: of the command.
        arguments: what it is told.
    """

    def __init__(self, name: str, arguments: tuple[object, ...]) -> None:
        self._name = name
        self._arguments = arguments
        self._running: list[_Running] = []

    def __enter__(self) -> Self:
        running = _Running(Command(self._name, list(self._arguments), Passed()))
        self._running.append(running)
        running.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, frames: TracebackType | None
    ) -> None:
        self._running.pop().__exit__(kind, error, frames)

    def __call__(self, function: _F) -> _F:
        """Let each call of a function be such a command."""

        def running(args: tuple[Any, ...], kwargs: dict[str, Any]) -> _Running:
            given = working.arguments(function, args, kwargs)
            return _Running(Command(self._name, [*self._arguments, given] if self._arguments else given, Passed()))

        if inspect.iscoroutinefunction(function):

            @functools.wraps(function)
            async def call_async(*args: Any, **kwargs: Any) -> Any:
                with running(args, kwargs):
                    return await function(*args, **kwargs)

            return call_async  # type: ignore[return-value]  # the same signature, which wraps does not say

        @functools.wraps(function)
        def call(*args: Any, **kwargs: Any) -> Any:
            with running(args, kwargs):
                return function(*args, **kwargs)

        return call  # type: ignore[return-value]  # as above


class _Running(Running):
    """One run, with what passes through the standard streams meanwhile."""

    def __enter__(self) -> Self:
        if self._lane is not None:
            _streams.begin()
        return super().__enter__()

    def __exit__(self, kind: object, error: BaseException | None, frames: TracebackType | None) -> None:
        if self._lane is None:
            return
        _streams.end()  # inside the lane, whose text it lets pass
        entry = self.entry
        if isinstance(error, SystemExit) and isinstance(entry, Command):
            # Without the frames that it leads to: nothing of ours may let it outlive the program that it ends.
            error = SystemExit(*error.args)
            if not entry.exits_with(error):
                kind, error, frames = None, None, None  # it has ended well
        super().__exit__(kind, error, frames)


class _Streams:
    """Looks at the standard streams while any command runs, for all of them: they may overlap in threads."""

    def __init__(self) -> None:
        self.renew()
        os.register_at_fork(after_in_child=self.renew)

    def renew(self) -> None:
        """Look at nothing, with a lock that nobody holds: a forked child is no command of its parent's."""
        self._lock = threading.Lock()
        self._running = 0
        self._unwatch: Callable[[], None] = lambda: None

    def begin(self) -> None:
        """A command begins. Text that waits is not its own."""
        try:
            streams.flush()
            with self._lock:
                self._running += 1
                if self._running == 1:
                    self._unwatch = streams.watch(_passed, Reader())
        except Exception as error:  # noqa: BLE001 - recording never breaks the app
            faults.report("command.streams", error)

    def end(self) -> None:
        """A command ends."""
        try:
            streams.flush()
            with self._lock:
                self._running -= 1
                if not self._running:
                    self._unwatch()
        except Exception as error:  # noqa: BLE001 - as above
            faults.report("command.streams", error)


_streams: Final = _Streams()


def _passed(name: str, data: bytes) -> None:
    lane = entering()
    if lane is not None and isinstance(lane.entry, Command) and lane.entry.passed is not None:
        lane.entry.passed.add(name, data)
