"""The processes that a recorded or replayed one starts: they know whose they are, and are recorded or answered too.

A child by a command inherits ``PYTHONPATH``, by which OpenTelemetry's site module is found in it. One that is run in
isolation (``-I``, ``-E``, ``-S``), or with another environment, would not find it: it is started with what it needs,
and takes that away again before the program begins (:mod:`timetracer_otel.seams.booting`).
"""

from __future__ import annotations

import _posixsubprocess
import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, nullcontext
from functools import wraps
from pathlib import Path
from typing import Any, Final, TypeAlias

from timetracer_otel.seams import faults, places
from timetracer_otel.seams.command_line import ISOLATING, PythonCommand, interpreter_of, is_this_python

__all__ = ["CHILD", "PARENT", "Started", "at_child_end", "become_parent", "parent", "place", "prepare"]

PARENT: Final = "TIMETRACER_PARENT_SESSION"
"""Environment variable of a child: the session of the process that started it, and its :mod:`place <.places>` there."""
CHILD: Final = "TIMETRACER_CHILD"
"""Environment variable of a child that is started otherwise than it was asked for: what was asked for, as JSON."""
BOOT: Final = str(Path(__file__).parent.parent / "boot")
"""Where the site module is that such a child finds."""

Started: TypeAlias = Callable[[int, Sequence[str], bool], None]
"""Told of a Python program that was started: process id, command line, and whether it can be set up as this one is."""

_OURS: Final = ("TIMETRACER_", "OTEL_")
_IGNORED_BY_E: Final = "PYTHON"
_KEPT_FOR_E: Final = frozenset({"PYTHONHASHSEED"})
"""A recording may have set this itself. Ignored, it would be random: nothing depends on it."""
_ARGS, _EXECUTABLES, _ENV = 0, 1, 5
"""Positions among the arguments of ``_posixsubprocess.fork_exec`` (Modules/_posixsubprocess.c)."""

_MARK: Final = "_timetracer_child"
"""On what was replaced already: modules import it from one another."""

_told = os.environ.pop(PARENT, None)


def parent() -> str | None:
    """The session of the process that started this one by a command; None when nobody that we know did."""
    return None if _told is None else _told.partition(" ")[0]


def place() -> str:
    """Which of its children this one is, see :mod:`timetracer_otel.seams.places`; empty when it is not known."""
    return (_told or "").partition(" ")[2]


places.begin_at(place())


def become_parent(session_id: str) -> None:
    """Let the commands that this process starts know whose they are.

    Their environment says it and ``os.environ`` does not, which a program may print or compare.

    Args:
        session_id: of this process.
    """
    if getattr(_thread, "starts_command", False):
        return  # the child of a fork that is about to become the command: it stays its parent's
    os.putenv(PARENT, session_id)
    _own[0] = session_id


_own = [""]
_thread = threading.local()


class _Inherited:
    """Lends our variables to children that inherit the environment: one at a time, for each is told its own."""

    def __init__(self) -> None:
        self.renew()
        os.register_at_fork(after_in_child=self.renew)

    def renew(self) -> None:
        """Be usable in a forked child, whose copy of the lock may be held by nobody there."""
        self._lock = threading.RLock()

    @contextmanager
    def saying(self, told: str) -> Iterator[None]:
        """Tell what is started in a ``with`` block whose it is.

        Args:
            told: the variable's value.
        """
        with self._lock:
            os.putenv(PARENT, told)
            try:
                yield
            finally:
                os.putenv(PARENT, _own[0])


_inherited = _Inherited()


def _next_child() -> str:
    """Tell the next child its parent and its place."""
    return f"{_own[0]} {places.next_place()}"


def at_child_end(owner: object, end: Callable[[], None]) -> bool:
    """Call something when a forked child of multiprocessing ends; to be called in it, after the fork.

    Such children leave by ``os._exit``, past all exit handlers but multiprocessing's own.

    Args:
        owner: what it belongs to.
        end: is called; in children of this child too.

    Returns:
        Whether multiprocessing is there.
    """
    util = sys.modules.get("multiprocessing.util")
    if util is None:
        return False
    util.register_after_fork(owner, lambda _owner: util.Finalize(None, end, exitpriority=0))
    return True


def prepare(started: Started) -> Callable[[], None]:
    """Let every Python program that this process starts from now on be set up as this process is.

    A process that was set up by its own code leaves them alone.

    Args:
        started: is told of each, in this process.

    Returns:
        What ends it.
    """
    undo = ExitStack()
    if not _is_site(str(Path(getattr(sys.modules.get("sitecustomize"), "__file__", "")).parent)):
        return undo.close  # set up by code, which no child runs
    carried = {name: value for name, value in os.environ.items() if name.startswith(_OURS)}
    make = _forking(carried, started)
    for module, name in ((_posixsubprocess, "fork_exec"), (subprocess, "_fork_exec")):
        _replace(undo, module, name, make)
    for name in ("posix_spawn", "posix_spawnp"):
        _replace(undo, os, name, _spawning(carried, started))
    _replace(undo, os, "execve", _replacing(carried))
    _replace(undo, os, "execv", lambda execv: _replacing_inherited(execv, carried))
    return undo.close


def _replace(undo: ExitStack, module: Any, name: str, make: Callable[[Any], Any]) -> None:
    original = getattr(module, name, None)
    if original is None or hasattr(original, _MARK):
        return
    replacement = wraps(original)(make(original))
    setattr(replacement, _MARK, True)
    setattr(module, name, replacement)

    def restore() -> None:
        if getattr(module, name) is replacement:
            setattr(module, name, original)

    undo.callback(restore)


def _forking(carried: dict[str, str], started: Started) -> Callable[[Any], Any]:
    def make(fork_exec: Any) -> Any:
        def forking(*arguments: Any) -> Any:
            child, told = None, _own[0]
            try:
                child, changed = _changed(arguments, carried)
                told = child.told
            except Exception as error:  # noqa: BLE001 - the app's child starts as it was asked for
                faults.report("children.fork_exec", error)
                changed = arguments
            pid = _started_with(told, fork_exec, changed)
            if child is not None and child.runs_python and pid:
                started(pid, child.args, child.is_reachable)
            return pid

        return forking

    return make


def _started_with(told: str, fork_exec: Any, arguments: tuple[Any, ...]) -> Any:
    _thread.starts_command = True
    try:
        if arguments[_ENV] is not None:
            return fork_exec(*arguments)
        with _inherited.saying(told):
            return fork_exec(*arguments)
    finally:
        _thread.starts_command = False


def _changed(arguments: tuple[Any, ...], carried: dict[str, str]) -> tuple[_Child, tuple[Any, ...]]:
    """Give the command that is started, and the arguments of ``fork_exec`` with what a Python program needs."""
    executable = next((os.fsdecode(one) for one in arguments[_EXECUTABLES] if os.access(one, os.X_OK)), "")
    args = [os.fsdecode(one) for one in arguments[_ARGS]]
    given = arguments[_ENV]
    env = None if given is None else dict(os.fsdecode(one).split("=", 1) for one in given)
    child = _Child(executable, args, env, carried)
    new_args, new_env = child.prepared()
    changed = list(arguments)
    if new_args is not args:
        changed[_ARGS] = [os.fsencode(one) for one in new_args]
    if new_env is not env and new_env is not None:
        changed[_ENV] = [os.fsencode(f"{name}={value}") for name, value in new_env.items()]
    return child, tuple(changed)


def _spawning(carried: dict[str, str], started: Started) -> Callable[[Any], Any]:
    def make(spawn: Any) -> Any:
        def spawning(path: Any, argv: Any, env: Any, /, **options: Any) -> Any:
            child, argv, env = _exchanged(path, argv, env, carried)
            with nullcontext() if env is not None or child is None else _inherited.saying(child.told):
                pid = spawn(path, argv, env, **options)
            if child is not None and child.runs_python:
                started(pid, child.args, child.is_reachable)
            return pid

        return spawning

    return make


def _replacing(carried: dict[str, str]) -> Callable[[Any], Any]:
    def make(execve: Any) -> Any:
        def replacing(path: Any, argv: Any, env: Any) -> Any:
            _child, argv, env = _exchanged(path, argv, env, carried)
            return execve(path, argv, env)

        return replacing

    return make


def _replacing_inherited(execv: Any, carried: dict[str, str]) -> Any:
    def replacing(path: Any, argv: Any, /) -> Any:
        child, changed, env = _exchanged(path, argv, os.environ, carried)
        # Only a child that needs it gets another environment: execv passes on what was set past os.environ too.
        if changed is argv:
            with _inherited.saying(_own[0] if child is None else child.told):
                return execv(path, argv)
        return os.execve(path, changed, env)  # noqa: S606 - what the app asked for

    return replacing


def _exchanged(path: Any, argv: Any, env: Any, carried: dict[str, str]) -> tuple[_Child | None, Any, Any]:
    """Give what is started, its command line and environment: the same objects when nothing must change.

    Without an environment, as ``os.posix_spawn`` takes it since Python 3.13, a child inherits that of this process.
    """
    try:
        executable = os.fsdecode(path)
        args = [os.fsdecode(one) for one in argv]
        given = None if env is None else {os.fsdecode(name): os.fsdecode(value) for name, value in env.items()}
    except (TypeError, AttributeError):  # a descriptor; or wrong, which the system says
        return None, argv, env
    child = _Child(executable, args, given, carried)
    new_args, new_env = child.prepared()
    return child, argv if new_args is args else new_args, env if new_env is given else new_env


class _Child:
    """A program that is about to be started.

    Args:
        executable: its file; empty when there is none.
        args: its command line.
        env: its environment, None for that of this process.
        carried: the variables that set a process up.
    """

    def __init__(self, executable: str, args: list[str], env: dict[str, str] | None, carried: dict[str, str]) -> None:
        self.args = args
        self.told = _next_child()
        self._given = env
        self._env = env if env is not None else dict(os.environ)
        self._carried = carried
        interpreter, *options = interpreter_of(executable)
        command = PythonCommand.of([interpreter, *options, *args[1:]])
        self._command = command
        self._is_script = interpreter != executable
        self._is_ours = command is not None and is_this_python(interpreter)
        self._isolated = command.flags & ISOLATING if command is not None else frozenset()

    @property
    def runs_python(self) -> bool:
        """Whether it is a Python that runs something of the program's: not to print its version."""
        command = self._command
        return command is not None and not (command.flags & {"V", "h", "?"} or command.asks or command.tracks)

    @property
    def is_reachable(self) -> bool:
        """Whether it will be set up, as far as this process can see to it."""
        if self._is_script and self._isolated:
            return False  # its options stand in its first line
        return self._is_ours or (not self._isolated and _is_set_up(self._env, self._carried))

    def prepared(self) -> tuple[list[str], dict[str, str] | None]:
        """Give the command line and environment to start instead: the same objects when nothing must be changed."""
        if self._command is None or not self.runs_python:
            return self.args, self._given
        if self._is_ours and self.is_reachable and (self._isolated or not _is_set_up(self._env, self._carried)):
            changed = self._command.without(self._isolated) if self._isolated else self.args[1:]
            return [self.args[0], *changed], self._carrying()
        if self._given is None or PARENT in self._given:
            return self.args, self._given
        return self.args, {**self._given, PARENT: self.told}

    def _carrying(self) -> dict[str, str]:
        ignores = bool(self._isolated & set("IE"))
        seen = {
            name: value
            for name, value in self._env.items()
            if not (ignores and name.startswith(_IGNORED_BY_E) and name not in _KEPT_FOR_E)
        }
        path = os.pathsep.join(filter(None, (BOOT, seen.get("PYTHONPATH", ""))))
        new = {**seen, **self._carried, "PYTHONPATH": path, PARENT: self.told}
        restored = {name: self._env.get(name) for name in {*self._env, *new} if self._env.get(name) != new.get(name)}
        restored.pop(PARENT, None)
        told = {
            "args": self.args,
            "env": restored,
            "no_site": "S" in self._isolated,
            "no_environment": ignores,
        }
        return {**new, CHILD: json.dumps(told)}


def _is_set_up(env: dict[str, str], carried: dict[str, str]) -> bool:
    """Whether a program with this environment finds OpenTelemetry's site module and our settings."""
    places = env.get("PYTHONPATH", "").split(os.pathsep)
    return any(_is_site(place) for place in places) and all(
        name in env for name in carried if name.startswith("TIMETRACER_") or name == "OTEL_TRACES_EXPORTER"
    )


def _is_site(place: str) -> bool:
    return place == BOOT or place.endswith(_AUTO)


_AUTO: Final = os.path.join("opentelemetry", "instrumentation", "auto_instrumentation")  # noqa: PTH118 - the end of a path
