"""Patches: in force however a module is loaded, shared by integrations, and never in the way of the app's import."""

from __future__ import annotations

import importlib
import importlib.util
import logging
import sqlite3
import sys
from collections.abc import Callable, Iterator
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any

import pytest
import wrapt

from timetracer_otel.seams import imports, patching
from timetracer_otel.seams.integration import Integration, Patch

wrapt.register_post_import_hook(print, "never_imported")  # its finder is there before the list is copied

DRIVER = """
import sqlite3
from sqlite3 import Cursor
loader, spec_loader = __loader__, __spec__.loader

class Connection:
    def ask(self):
        return "live"

def connect(*args, **kwargs):
    return Connection()
"""


def stand_in(wrapped: Callable[..., str], _instance: object, args: Any, kwargs: Any) -> str:
    """Answer in the place of the driver."""
    return "patched " + wrapped(*args, **kwargs)


@pytest.fixture(autouse=True)
def imports_are_watched() -> Iterator[None]:
    """As in a process that records or replays; afterwards importlib is as it was."""
    before = importlib._bootstrap._find_spec  # type: ignore[attr-defined]
    imports.start()
    yield
    patching.undo_all()
    imports.stop()
    assert importlib._bootstrap._find_spec is before  # type: ignore[attr-defined]


@pytest.fixture
def driver(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Iterator[str]:
    """The name of a module that can be imported and is not yet."""
    name = f"made_up_driver_{abs(hash(request.node.name))}"
    (tmp_path / f"{name}.py").write_text(DRIVER, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "meta_path", list(sys.meta_path))
    yield name
    sys.modules.pop(name, None)


class Before:
    """Stands before everybody else and loads by itself, as type checkers at run time and hot reloaders do."""

    @staticmethod
    def find_spec(name: str, path: Any = None, target: ModuleType | None = None) -> ModuleSpec | None:
        """Find on the path."""
        return PathFinder.find_spec(name, path, target)


class Eager(Before):
    """Runs the module while it is looked for."""

    def find_spec(self, name: str, path: Any = None, target: ModuleType | None = None) -> ModuleSpec | None:  # type: ignore[override]
        """Give a spec whose loader gives the finished module."""
        spec = PathFinder.find_spec(name, path, target)
        if spec is None or spec.loader is None or not name.startswith("made_up"):
            return spec
        self.module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(self.module)
        return ModuleSpec(name, self)  # type: ignore[arg-type]

    def create_module(self, _spec: ModuleSpec) -> ModuleType:
        """Give what is there already."""
        return self.module

    def exec_module(self, module: ModuleType) -> None:
        """There is nothing left to do."""


def by_statement(name: str) -> Any:
    """Import as ever."""
    return importlib.import_module(name)


def behind_another_finder(name: str) -> Any:
    """Import behind a finder that was put in front."""
    sys.meta_path.insert(0, Before)
    return importlib.import_module(name)


def behind_an_eager_finder(name: str) -> Any:
    """Import behind a finder that loads by itself."""
    sys.meta_path.insert(0, Eager())
    return importlib.import_module(name)


def by_finders_of_their_own(name: str) -> Any:
    """Import where nobody else's finder is left."""
    sys.meta_path[:] = [Before]
    return importlib.import_module(name)


def lazily(name: str) -> Any:
    """Import by a loader that waits for the first attribute."""
    spec = importlib.util.find_spec(name)
    assert spec is not None
    assert spec.loader is not None
    spec.loader = importlib.util.LazyLoader(spec.loader)
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def by_hand(name: str) -> Any:
    """Load past importlib; any other import later notices."""
    spec = PathFinder.find_spec(name)
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    sys.modules.pop("colorsys", None)
    importlib.import_module("colorsys")
    return module


def twice(name: str) -> Any:
    """Import, and load it again."""
    return importlib.reload(importlib.import_module(name))


def anew(name: str) -> Any:
    """Import, forget it, and import another one of that name."""
    importlib.import_module(name)
    del sys.modules[name]
    return importlib.import_module(name)


WAYS = [
    by_statement, behind_another_finder, behind_an_eager_finder, by_finders_of_their_own, lazily, by_hand, twice, anew,
]  # fmt: skip


@pytest.mark.parametrize("load", WAYS)
def test_a_patch_is_in_force_however_its_module_is_loaded(driver: str, load: Callable[[str], Any]) -> None:
    """Once, and taken back whole; the module's own loader is what it would be without us."""
    patching.apply(Integration("made-up", (Patch(driver, "Connection.ask", stand_in),)))
    module = load(driver)
    assert module.Connection().ask() == "patched live"
    for loader in (module.__loader__, module.__spec__.loader, module.loader, module.spec_loader):
        assert not type(loader).__module__.startswith("timetracer_otel")
    patching.undo("made-up")
    assert module.Connection().ask() == "live"


def test_a_patch_that_cannot_be_set_is_said_once(driver: str, caplog: pytest.LogCaptureFixture) -> None:
    """A type of C takes no attributes: the import goes on, the module is as it was, the other patches are in force."""
    patches = (Patch(driver, "Cursor.execute", stand_in), Patch(driver, "Connection.ask", stand_in))
    with caplog.at_level(logging.WARNING, logger="timetracer_otel"):
        patching.apply(Integration("made-up", patches))
        module = importlib.import_module(driver)
        importlib.reload(module)
    execute = module.Cursor.execute
    assert module.Connection().ask() == "patched live"
    (record,) = caplog.records
    assert f"{driver}.Cursor.execute cannot be patched (TypeError" in record.message
    patching.undo_all()
    assert module.Cursor.execute is execute
    assert module.Connection().ask() == "live"


def test_a_class_of_c_is_changed_underneath(driver: str) -> None:
    """Where a patch says so: methods of objects, of the class, of subclasses; and it comes back."""

    def louder(original: Any) -> Any:
        def execute(self: Any, *args: Any) -> Any:
            return "patched", original(self, *args)

        return execute

    patch = Patch(driver, "Cursor.execute", maker=louder, underneath=True)
    module: Any = importlib.import_module(driver)
    execute, derived = vars(module.Cursor)["execute"], type("Derived", (module.Cursor,), {})
    made = derived(sqlite3.connect(":memory:"))
    patching.apply(Integration("made-up", (patch,)))
    assert made.execute("SELECT 1") == ("patched", made)
    assert module.Cursor.execute(made, "SELECT 1") == ("patched", made)
    patching.undo("made-up")
    assert vars(module.Cursor)["execute"] is execute
    assert made.execute("SELECT 1") is made


def test_what_a_factory_returns_is_replaced(driver: str) -> None:
    """With its arguments as they are given; where our part fails the app gets the object itself."""

    class Proxy:
        def __init__(self, made: Any) -> None:
            self.made = made

        def ask(self) -> str:
            return "instead of " + str(self.made.ask())

    patching.apply(Integration("made-up", (Patch(driver, "connect", returns=Proxy),)))
    module: Any = importlib.import_module(driver)
    assert module.connect("place", timeout=1).ask() == "instead of live"
    assert module.connect.__name__ == "connect"
    patching.undo("made-up")
    assert module.connect().ask() == "live"


def test_a_factory_gives_its_own_when_ours_fails(driver: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A fault of ours is reported and does not reach the app."""
    monkeypatch.delenv("TIMETRACER_RAISE_FAULTS", raising=False)

    def broken(_made: object) -> object:
        raise RuntimeError("ours")

    patching.apply(Integration("made-up", (Patch(driver, "connect", returns=broken),)))
    assert importlib.import_module(driver).connect().ask() == "live"


def test_a_patch_of_two_is_taken_back_with_the_second(driver: str) -> None:
    """What two integrations share stays in force for as long as one of them wants it, whichever goes first."""
    patch = Patch(driver, "Connection.ask", stand_in)
    for one in ("first", "second"):
        patching.apply(Integration(one, (patch,)))
    module: Any = importlib.import_module(driver)
    assert module.Connection().ask() == "patched live"
    patching.undo("first")
    assert module.Connection().ask() == "patched live"
    patching.apply(Integration("first", (patch,)))
    patching.undo("second")
    assert module.Connection().ask() == "patched live"
    patching.undo("first")
    assert module.Connection().ask() == "live"


def test_a_hook_that_raises_does_not_break_the_import(driver: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The module is there; the fault is counted."""
    monkeypatch.delenv("TIMETRACER_RAISE_FAULTS", raising=False)

    def broken(_module: ModuleType) -> None:
        raise RuntimeError("ours")

    imports.after_import(driver, broken)
    assert importlib.import_module(driver).Connection().ask() == "live"


def test_a_patch_that_fails_while_it_is_made_leaves_the_module(driver: str, caplog: pytest.LogCaptureFixture) -> None:
    """Whatever it raises: the import goes on, each name is the object that it was, and that is said once."""

    def broken(_original: object) -> Callable[..., Any]:
        raise RuntimeError("ours")

    patches = (Patch(driver, "Connection.ask", maker=broken), Patch(driver, "connect", maker=broken))
    with caplog.at_level(logging.WARNING, logger="timetracer_otel"):
        patching.apply(Integration("made-up", patches))
        module: Any = importlib.import_module(driver)
        importlib.reload(module)
    assert module.Connection().ask() == module.connect().ask() == "live"
    assert type(vars(module.Connection)["ask"]) is type(vars(module)["connect"]) is FunctionType
    said = [record.message for record in caplog.records]
    assert len(said) == 2
    assert all("cannot be patched (RuntimeError: ours), so made-up calls are not fully captured" in one for one in said)


def test_what_cannot_be_put_back_keeps_no_other_patched(driver: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A module that refuses to be restored is reported; the rest is what it was."""
    monkeypatch.delenv("TIMETRACER_RAISE_FAULTS", raising=False)
    patches = (Patch(driver, "Connection.ask", stand_in), Patch(driver, "connect", returns=lambda made: made))
    patching.apply(Integration("made-up", patches))
    module: Any = importlib.import_module(driver)
    original = module.connect.__wrapped__
    restore = patching._restore

    def refuse(done: Any) -> None:
        if done.name == "ask":
            raise TypeError("immutable")
        restore(done)

    monkeypatch.setattr(patching, "_restore", refuse)
    patching.undo("made-up")
    assert module.connect is original
    assert module.Connection().ask() == "patched live"
