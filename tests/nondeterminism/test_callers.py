"""Whose draws count: the app's, and those that libraries make for it."""

from __future__ import annotations

import json
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from timetracer_otel.config import PARSERS, Settings
from timetracer_otel.errors import ConfigError
from timetracer_otel.nondeterminism import callers

SITE = sysconfig.get_path("purelib")


@pytest.fixture(autouse=True)
def _anew() -> Iterator[None]:
    """Each test begins with nothing known."""
    callers.configure((), ("urllib3.util.timeout",))
    yield
    callers.configure(())


def frame(file: str, name: str, **more: Any) -> FrameType:
    """A frame of a file's code."""
    scope: dict[str, Any] = {"__name__": name, "get": sys._getframe, **more}
    exec(compile("frame = get(0)", file, "exec"), scope)  # noqa: S102 - the text above
    found: FrameType = scope["frame"]
    return found


@pytest.mark.parametrize(
    ("file", "name", "kind"),
    [
        ("/srv/shop/orders.py", "shop.orders", "shop.orders"),
        ("/srv/shop/run.py", "__main__", "run"),
        ("<stdin>", "__main__", "stdin"),
        (f"{SITE}/somebody/api.py", "somebody.api", callers.LIBRARY),
        (f"{SITE}/pydantic/main.py", "pydantic.main", callers.LIBRARY),
        (f"{SITE}/uuid6/__init__.py", "uuid6", callers.LIBRARY),
        (f"{SITE}/uvicorn/server.py", "uvicorn.server", callers.PLUMBING),
        (f"{SITE}/uvicorn_extra.py", "uvicorn_extra", callers.LIBRARY),
        (f"{SITE}/urllib3/util/timeout.py", "urllib3.util.timeout", callers.PLUMBING),
        (f"{SITE}/urllib3/filepost.py", "urllib3.filepost", callers.LIBRARY),
        (f"{SITE}/opentelemetry/sdk/trace/__init__.py", "opentelemetry.sdk.trace", callers.PLUMBING),
        (sysconfig.get_path("stdlib") + "/logging/__init__.py", "logging", callers.PLUMBING),
        (sysconfig.get_path("stdlib") + "/http/cookies.py", "http.cookies", callers.LIBRARY),
        ("<frozen importlib._bootstrap>", "importlib._bootstrap", callers.PLUMBING),
        (callers.__file__, callers.__name__, callers.PLUMBING),
    ],
)
def test_code_is_told_apart_by_its_place(file: str, name: str, kind: str) -> None:
    """The app's modules by name; the standard library, installed packages and ourselves are none."""
    assert callers.classify(frame(file, name)) == kind


def test_generated_code_is_where_its_module_is() -> None:
    """A dataclass's ``__init__`` has no file; the module that it was generated for has."""
    assert callers.classify(frame("<string>", "shop.model", __file__="/srv/shop/model.py")) == "shop.model"
    assert callers.classify(frame("<string>", "somebody", __file__=f"{SITE}/somebody.py")) == callers.LIBRARY
    assert callers.classify(frame("<attrs generated>", "")) == callers.LIBRARY


def test_installed_packages_of_the_app_can_be_named() -> None:
    """An app that is installed as a package counts when the setting names it."""
    file = f"{SITE}/shop/orders.py"
    assert callers.classify(frame(file, "shop.orders")) == callers.LIBRARY
    callers.configure(("shop",))
    assert callers.classify(frame(file, "shop.orders")) == "shop.orders"


@pytest.mark.parametrize(
    ("origin", "counts"),
    [({"dir_info": {}}, True), ({"vcs_info": {"vcs": "git"}}, True), ({"archive_info": {}}, False)],
)
def test_packages_installed_from_source_are_the_apps(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, origin: dict[str, Any], *, counts: bool
) -> None:
    """``pip install .`` leaves a note of where from (PEP 610): no package index has it, so it is the app's."""
    info = tmp_path / "site-packages" / "shop-1.dist-info"
    info.mkdir(parents=True)
    (info / "direct_url.json").write_text(json.dumps({"url": "file:///srv/shop", **origin}))
    (info / "RECORD").write_text("shop/__init__.py,,\nshop-1.dist-info/RECORD,,\n")
    monkeypatch.syspath_prepend(tmp_path / "site-packages")
    callers.configure(())
    kind = callers.classify(frame(f"{info.parent}/shop/orders.py", "shop.orders"))
    assert (kind == "shop.orders") is counts


def test_who_draws_is_found_outside_of_plumbing() -> None:
    """From a frame outwards: who is no plumbing, and what that is."""
    mine = sys._getframe(0)
    assert callers.outside(mine) == (mine, __name__)
    other = frame(f"{SITE}/somebody.py", "somebody")
    assert callers.outside(other) == (other, callers.LIBRARY)
    tempfile = frame(f"{SITE}/tempfile.py", "tempfile")
    assert callers.outside(tempfile)[0] is not tempfile


def library(**names: Any) -> dict[str, Any]:
    """A library with a function that says who asked it, one that calls that, and one that does so in a generator."""
    text = """
def tell(): return asker(get(0))
def tell_twice(): return tell(), tell(), get(0)
def tell_each(): yield from (tell() for _ in range(2))
"""
    scope: dict[str, Any] = {"__name__": "somebody", "get": sys._getframe, "asker": callers.asker, **names}
    exec(compile(text, f"{SITE}/somebody.py", "exec"), scope)  # noqa: S102 - the text above
    return scope


def test_who_asks_a_library_is_known_at_each_call() -> None:
    """Each statement of the app is told apart, however often the library was asked before."""
    tell = library()["tell"]
    first = tell()
    second = tell()
    assert {first.code, second.code} == {sys._getframe(0).f_code}
    assert first.instruction < second.instruction
    assert first.module == __name__


def test_who_asked_is_remembered_for_a_running_frame_only() -> None:
    """The second look within one frame of the library is short; the next call of the library is looked at anew."""
    one, same, running = library()["tell_twice"]()
    assert one is same is running.f_trace
    other, _, another = library()["tell_twice"]()
    assert other is not one
    assert another.f_trace is other


def test_a_generator_is_asked_by_whoever_resumes_it() -> None:
    """What is remembered never sticks to a frame that others may enter."""
    generator = library()["tell_each"]()
    first = next(generator)
    second = next(generator)
    assert first.instruction < second.instruction


def test_a_debugger_finds_no_tracer_of_ours() -> None:
    """A mark counts as absent, traces nothing when it is called, and is not set while somebody traces."""
    one, _, _ = library()["tell_twice"]()
    assert not one
    assert one(None, "line", None) is None
    before = sys.gettrace()
    sys.settrace(lambda *_: None)
    try:
        _, _, running = library()["tell_twice"]()
    finally:
        sys.settrace(before)
    assert running.f_trace is None


def test_marks_end_with_an_installation() -> None:
    """Where other modules are the app's from now on, what running frames remember is forgotten."""

    def configured() -> object:
        callers.configure(("somebody",))
        return callers

    text = "def run(): first = asker(get(0)); configure(); return first, get(0).f_trace"
    scope = library(configure=configured)
    exec(compile(text, f"{SITE}/somebody.py", "exec"), scope)  # noqa: S102 - the text above
    first, after = scope["run"]()
    assert first.module == __name__
    assert after is None


@pytest.mark.parametrize(
    ("name", "counts"),
    [("uvicorn.protocols.http", True), ("asyncio.events", True), ("opentelemetry.sdk.trace.export", False)],
)
def test_what_runs_the_app_asks_for_nothing(name: str, *, counts: bool) -> None:
    """The search ends at servers and loops; what an exporter does with a library is its own."""
    called: dict[str, Any] = {"__name__": "somebody", "asker": callers.asker, "get": sys._getframe}
    code = compile("found = asker(get())", f"{SITE}/somebody.py", "exec")
    caller = {"__name__": name, "code": code, "library": called}
    exec(compile("exec(code, library)", f"{SITE}/{name}.py", "exec"), caller)  # noqa: S102 - the text above
    assert called["found"] is (callers.NOBODY if counts else callers.NOT_COUNTED)


@pytest.mark.parametrize(
    ("text", "groups"),
    [("all", 8), ("none", 0), ("uuid, clock", 2), ("UUID", 1)],
)
def test_groups_can_be_set(text: str, groups: int) -> None:
    """``all``, ``none`` or some, separated by commas."""
    value = PARSERS["nondeterminism"]("NAME", text)
    assert isinstance(value, str)
    assert len(Settings(nondeterminism=value).draws) == groups


@pytest.mark.parametrize("text", ["", "uuids", "all,uuid"])
def test_unknown_groups_are_an_error(text: str) -> None:
    """A name that is no group is refused, and the message lists them."""
    with pytest.raises(ConfigError, match="must be all, none, or some of clock, monotonic"):
        PARSERS["nondeterminism"]("NAME", text)
