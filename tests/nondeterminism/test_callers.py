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


def test_who_draws_and_for_whom_is_found() -> None:
    """From a frame outwards: who is no plumbing, and the app's nearest code."""
    mine = sys._getframe(0)
    assert callers.origin(mine) == (mine, mine)
    library = frame(f"{SITE}/somebody.py", "somebody")
    assert callers.origin(library)[0] is library
    tempfile = frame(f"{SITE}/tempfile.py", "tempfile")
    assert callers.origin(tempfile)[0] is not tempfile


@pytest.mark.parametrize(
    ("name", "counts"),
    [("uvicorn.protocols.http", True), ("asyncio.events", True), ("opentelemetry.sdk.trace.export", False)],
)
def test_what_runs_the_app_asks_for_nothing(name: str, *, counts: bool) -> None:
    """The search ends at servers and loops; what an exporter does with a library is its own."""
    library: dict[str, Any] = {"__name__": "somebody", "origin": callers.origin, "get": sys._getframe}
    code = compile("found = origin(get())", f"{SITE}/somebody.py", "exec")
    caller = {"__name__": name, "code": code, "library": library}
    exec(compile("exec(code, library)", f"{SITE}/{name}.py", "exec"), caller)  # noqa: S102 - the text above
    found = library["found"]
    assert [one is not None for one in found] == [counts, False]


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
