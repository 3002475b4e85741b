"""Finding the integrations, and setting an app up from code."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

import flask
import pytest
from fastapi import FastAPI
from starlette.applications import Starlette
from werkzeug.test import Client

from tests.entries.doubles import NotingRuntime, environ, here, serve_wsgi, starlette_client
from timetracer_otel import autoload, integrations, seams
from timetracer_otel.config import Settings
from timetracer_otel.errors import ConfigError
from timetracer_otel.integrations import discover
from timetracer_otel.integrations import fastapi as fastapi_module
from timetracer_otel.integrations import flask as flask_module
from timetracer_otel.integrations import starlette as starlette_module
from timetracer_otel.seams import Integration

APPS: list[tuple[Any, Any]] = [
    (flask_module, lambda: flask.Flask("app")),
    (starlette_module, Starlette),
    (fastapi_module, FastAPI),
]


def hello(_request: Any, start: Any) -> list[bytes]:
    """Answer in one piece."""
    start("200 OK", [])
    return [b"x"]


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[dict[str, Any]]]:
    """Stand in for the door: notes the settings that it is called with, and puts a runtime in force."""
    calls: list[dict[str, Any]] = []

    def install(**settings: Any) -> None:
        calls.append(settings)
        if settings.get("mode") != "off":
            seams.set_active(NotingRuntime())

    assert seams.runtime.installer is autoload.install  # which its first import sets
    monkeypatch.setattr(seams.runtime, "installer", install)
    yield calls
    seams.set_active(None)


def test_every_integration_is_found() -> None:
    """By name, each an Integration whose name is its key."""
    found = discover()
    assert {"flask", "starlette", "fastapi"} <= set(found)
    assert all(type(one) is Integration and one.name == name for name, one in found.items())


def test_modules_without_an_integration_are_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """So are modules whose name begins with an underscore; a new file is found without being named anywhere."""
    declaration = "from timetracer_otel.seams import Integration\nINTEGRATION = Integration('found', ())\n"
    (tmp_path / "new_library.py").write_text(declaration, encoding="utf-8")
    (tmp_path / "_helper.py").write_text(declaration.replace("found", "hidden"), encoding="utf-8")
    (tmp_path / "plain.py").write_text("", encoding="utf-8")
    monkeypatch.setattr(integrations, "__path__", [str(tmp_path)])
    monkeypatch.setattr("timetracer_otel.integrations.__path__", [str(tmp_path)])
    assert list(discover()) == ["found"]


def test_discovery_imports_no_library() -> None:
    """Declaring a library does not need it: none is imported."""
    program = (
        "import sys; from timetracer_otel.integrations import discover; discover();"
        "print({'flask', 'starlette', 'fastapi', 'werkzeug', 'pymongo', 'motor'} & set(sys.modules))"
    )
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    assert result.stdout.strip() == "set()"


@pytest.mark.parametrize(("module", "make"), APPS)
def test_auto_setup_installs_and_instruments(installed: list[dict[str, Any]], module: Any, make: Any) -> None:
    """It gives the same app back, with the settings in force and OpenTelemetry's instrumentation; twice is once."""
    app = make()
    assert module.auto_setup(app, mode="record", dir="x") is app
    assert installed == [{"mode": "record", "dir": "x"}]
    assert app._is_instrumented_by_opentelemetry
    before = getattr(app, "wsgi_app", None), list(getattr(app, "user_middleware", []))
    module.auto_setup(app)
    assert (getattr(app, "wsgi_app", None), list(getattr(app, "user_middleware", []))) == before


@pytest.mark.parametrize(("module", "make"), APPS)
@pytest.mark.usefixtures("installed")
def test_auto_setup_in_mode_off_leaves_the_app_alone(module: Any, make: Any) -> None:
    """Nothing of the app has changed."""
    app = make()
    before = dict(vars(app))
    assert module.auto_setup(app, mode="off") is app
    assert vars(app) == before


def test_the_wsgi_middleware_records_by_itself(installed: list[dict[str, Any]]) -> None:
    """Timetracer 1.x: `app.wsgi_app = TimeTracerMiddleware(app.wsgi_app, config=None)`, the class not being patched."""
    app = flask.Flask("app")
    app.add_url_rule("/", view_func=lambda: str(here()))
    app.wsgi_app = flask_module.TimeTracerMiddleware(app.wsgi_app, config=None)  # type: ignore[method-assign] # Flask's documented way
    assert installed == [{}]
    text = Client(app).get("/").text
    runtime = seams.active()
    assert isinstance(runtime, NotingRuntime)
    assert text == runtime.lane.id


@pytest.mark.parametrize("make", [Starlette, FastAPI])
def test_the_asgi_middleware_records_by_itself(installed: list[dict[str, Any]], make: Any) -> None:
    """Timetracer 1.x: `app.add_middleware(TimeTracerMiddleware, config=None)`, the class not being patched."""
    app = make()
    app.add_middleware(starlette_module.TimeTracerMiddleware, config=None)
    with starlette_client(app) as client:
        assert client.get("/nothing").status_code == 404
    assert installed == [{}]
    runtime = seams.active()
    assert isinstance(runtime, NotingRuntime)
    assert runtime.lane.response.code == 404


def test_a_middleware_installs_nothing_over_a_runtime(installed: list[dict[str, Any]]) -> None:
    """When recording is on already, a middleware without settings leaves it."""
    seams.set_active(NotingRuntime())
    flask_module.TimeTracerMiddleware(hello)
    assert installed == []


def test_a_middleware_takes_our_settings_only(installed: list[dict[str, Any]]) -> None:
    """Settings are passed on field by field; anything else is refused with what to give instead."""
    settings = Settings(mode="record", sample_rate=0.5)
    flask_module.TimeTracerMiddleware(hello, config=settings)
    assert installed == [{field.name: getattr(settings, field.name) for field in fields(settings)}]
    with pytest.raises(ConfigError, match=r"takes timetracer_otel\.config\.Settings, not dict"):
        flask_module.TimeTracerMiddleware(hello, config={"mode": "record"})


@pytest.mark.usefixtures("installed")
def test_the_middleware_keeps_the_app_and_its_answers() -> None:
    """``.app`` is the wrapped app, and its answers are its own."""
    wrapped = flask_module.TimeTracerMiddleware(hello)
    assert wrapped.app is hello
    assert serve_wsgi(wrapped, environ()) == serve_wsgi(hello, environ())
