"""Putting the wrappers into their places, and the very objects back that were there.

Names that modules have imported already (``from time import time``) are exchanged too. ``datetime`` is a
class of C that takes no attributes: its dictionary is changed underneath, so that the class stays the object that it
is, for ``isinstance``, subclasses and pickles.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Iterable, Iterator
from types import FunctionType, ModuleType
from typing import Any, Final

from timetracer_otel.nondeterminism import callers, deadlines, generators, plain, sites, wrappers
from timetracer_otel.nondeterminism.draws import give, live
from timetracer_otel.nondeterminism.kinds import KINDS, generated
from timetracer_otel.nondeterminism.wrappers import Maker
from timetracer_otel.seams import Generator, Integration, c_names, imports

__all__ = ["install", "uninstall"]

_log = logging.getLogger("timetracer_otel")
_ABSENT: Final = object()

_done: list[tuple[Any, str, Any, Any]] = []
"""Owner, name, what the owner itself had there, and the wrapper."""
_groups: frozenset[str] = frozenset()
_gives = False
"""Whether recorded values are given back."""
_generators: Final[dict[str, list[Generator]]] = {}
"""By their modules: those that no integration declares, and those of the integrations at work."""
_hooked: set[str] = set()
"""Modules with an import hook, which cannot be taken back."""

_PICKS: Final[dict[str, Maker]] = {
    "choices": wrappers.chosen,
    "sample": wrappers.chosen,
    "shuffle": wrappers.shuffled,
}
_TIME: Final = tuple(name.removeprefix("time.") for name in KINDS if name.startswith("time."))
_ALWAYS_DRAW: Final = frozenset(name for name in _TIME if KINDS[f"time.{name}"].load.__name__ == "_load_number")


def install(
    groups: Iterable[str],
    draw: Callable[..., Any],
    app_packages: tuple[str, ...],
    integrations: Iterable[Integration] = (),
) -> None:
    """Wrap what draws, now or when it is imported.

    Args:
        groups: of kinds, from :data:`timetracer_otel.config.NONDETERMINISM`.
        draw: what a draw of the app does: :func:`draws.note` or :func:`draws.give`.
        app_packages: installed packages that are part of the app.
        integrations: their plumbing does not count, and what their generators make does.
    """
    global _groups, _gives
    _groups, _gives = frozenset(groups), draw is give
    if not _groups:
        return
    integrations = tuple(integrations)
    _generators.clear()
    for generator in (*generators.discover(), *(each for one in integrations for each in one.generators)):
        _generators.setdefault(generator.module, []).append(generator)
    plumbing = [name for one in integrations for name in one.plumbing]
    # Not of the standard library's modules: what others of their functions draw is drawn in Python, and counts.
    plumbing += [f"{name}." for name in _generators if name.partition(".")[0] not in sys.stdlib_module_names]
    apart = [name for one in integrations for name in one.apart]
    callers.configure(app_packages, plumbing, apart)
    wrappers.use(draw)
    sites.watch()
    for module in (*_PLACES, *_generators):
        if module not in _hooked:
            _hooked.add(module)
            imports.after_import(module, _on_import)
        elif module in sys.modules:
            _on_import(sys.modules[module])
    c_names.exchange(_bound(), callers.counts)
    plain.give(name for name in plumbing if not name.endswith("."))


def uninstall() -> None:
    """Put everything back, also where modules of the app have imported a wrapper meanwhile."""
    global _groups  # noqa: PLW0603 - a process has one installation
    wrappers.use(live)
    _groups = frozenset()
    plain.restore()
    c_names.exchange(((wrapper, original) for original, wrapper in _bound()), callers.counts)
    while _done:
        owner, name, original, wrapper = _done.pop()
        if vars(owner).get(name) is wrapper:
            _put(owner, name, original)
    sites.forget()


def _bound() -> Iterator[tuple[Any, Any]]:
    """What modules may have bound by name: each original that there was, and its wrapper."""
    return ((original, wrapper) for _, _, original, wrapper in _done if original is not _ABSENT)


def _on_import(module: ModuleType) -> None:
    if not _groups:
        return
    if module.__name__ in _PLACES:
        _PLACES[module.__name__](module)
    for one in _generators.get(module.__name__, ()):
        _generator(module, one)


def _generator(module: ModuleType, one: Generator) -> None:
    *path, name = one.name.split(".")
    owner: Any = module
    for part in path:
        owner = getattr(owner, part, None)
    if one.group not in _groups or not hasattr(owner, name):
        return  # another version of the library
    original = getattr(owner, name)
    maker = wrappers.function if isinstance(original, FunctionType) else wrappers.builtin
    _replace(owner, name, maker(generated(one), original))


def _wrap(owner: Any, name: str, kind_name: str, maker: Maker) -> None:
    """Wrap a name of a module or a class; nothing happens where it is missing or its group is off."""
    kind = KINDS[kind_name]
    if kind.group not in _groups or not hasattr(owner, name):
        return
    own = vars(owner).get(name, _ABSENT)
    _replace(owner, name, maker(kind, getattr(owner, name) if own is _ABSENT else own))


def _replace(owner: Any, name: str, wrapper: Any) -> None:
    own = vars(owner).get(name, _ABSENT)
    if any(done[0] is owner and done[1] == name for done in _done):
        return
    if _put(owner, name, wrapper):
        _done.append((owner, name, own, wrapper))


def _put(owner: Any, name: str, value: Any) -> bool:
    try:
        if value is _ABSENT:
            delattr(owner, name)
        else:
            setattr(owner, name, value)
    except TypeError:  # a class of C
        return _put_underneath(owner, name, value)
    return True


def _put_underneath(cls: type, name: str, value: Any) -> bool:
    if c_names.put_underneath(cls, name, value):
        return True
    _log.warning("timetracer: no ctypes here, so %s.%s is neither recorded nor given back", cls.__name__, name)
    return False


def _time(module: ModuleType) -> None:
    plain.keep(module)
    for name in _TIME:
        _wrap(module, name, f"time.{name}", wrappers.clock if name in _ALWAYS_DRAW else wrappers.builtin)


def _datetime(module: ModuleType) -> None:
    _wrap(module.datetime, "now", "datetime.now", wrappers.class_clock)
    _wrap(module.datetime, "utcnow", "datetime.utcnow", wrappers.utc_clock)
    _wrap(module.date, "today", "date.today", wrappers.class_clock)


def _uuid(module: ModuleType) -> None:
    for name in (name.removeprefix("uuid.") for name in KINDS if name.startswith("uuid.")):
        _wrap(module, name, f"uuid.{name}", wrappers.function)


def _random(module: ModuleType) -> None:
    """The methods of Random and SystemRandom, and the module's functions, which are methods of a hidden instance."""
    names = [name.removeprefix("random.") for name in KINDS if name.startswith("random.")]
    behind = module._inst  # noqa: SLF001 - the instance behind the functions
    functions = {name: vars(module).get(name) for name in names}
    hidden = {name: one for name, one in functions.items() if getattr(one, "__self__", None) is behind}
    plain.keep(module)
    choice = wrappers.given_choice if _gives else wrappers.noted_choice
    for name in names:
        maker = choice if name == "choice" else _PICKS.get(name, wrappers.function)
        _wrap(module.Random, name, f"random.{name}", maker)
        if name in vars(module.SystemRandom):
            _wrap(module.SystemRandom, name, f"random.{name}", maker)
    if "random" in _groups:
        for name in hidden:
            _replace(module, name, getattr(behind, name))
        plain.shield(behind, hidden)


def _secrets(module: ModuleType) -> None:
    for name in ("randbelow", "token_bytes", "token_hex", "token_urlsafe"):
        _wrap(module, name, f"secrets.{name}", wrappers.function)
    if "random" in _groups:
        for name, behind in (("choice", "choice"), ("randbits", "getrandbits")):
            _replace(module, name, getattr(module._sysrand, behind))  # noqa: SLF001 - as in _random


def _os(module: ModuleType) -> None:
    _wrap(module, "urandom", "os.urandom", wrappers.builtin)
    _wrap(module, "getrandom", "os.getrandom", wrappers.builtin)


def _ssl(module: ModuleType) -> None:
    _wrap(module, "RAND_bytes", "ssl.RAND_bytes", wrappers.builtin)


def _object_id(module: ModuleType) -> None:
    _wrap(module.ObjectId, "__init__", "bson.ObjectId", wrappers.object_id)


def _tempfile(module: ModuleType) -> None:
    _wrap(module._RandomNameSequence, "__next__", "tempfile.name", wrappers.temporary_name)  # noqa: SLF001 - makes the names


def _deadlines(module: ModuleType) -> None:
    """Patch the clock of event loops, in a replay."""
    if "monotonic" not in _groups or not _gives:
        return
    for owner in (module, sys.modules.get("asyncio.timeouts")):
        if owner is not None and hasattr(owner, "timeout_at"):
            _replace(owner, "timeout_at", deadlines.timeout_at(owner.timeout_at))
    loop = getattr(module, "BaseEventLoop", None) or module.Loop  # asyncio's or uvloop's
    _replace(loop, "call_at", deadlines.call_at(loop.call_at))


_PLACES: Final[dict[str, Callable[[ModuleType], None]]] = {
    "time": _time,
    "datetime": _datetime,
    "uuid": _uuid,
    "random": _random,
    "secrets": _secrets,
    "os": _os,
    "ssl": _ssl,
    "bson.objectid": _object_id,
    "tempfile": _tempfile,
    "asyncio": _deadlines,
    "uvloop": _deadlines,
}
"""The patches of each module, applied once it is imported."""
