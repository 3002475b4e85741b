"""A lane as a test: a pytest file that sends the recorded request to the app, and the cassette beside it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from timetracer_otel import spans
from timetracer_otel.cassette.model import Lane
from timetracer_otel.cassette.urls import split
from timetracer_otel.cli.export.exchanges import Exchange, of_entry
from timetracer_otel.errors import ConfigError

__all__ = ["app_of", "cassette_of", "named", "source"]

_MADE_ANEW: Final = frozenset({"host", "content-length", "connection", "transfer-encoding", "keep-alive"})
_ASGI_SERVERS: Final = frozenset({"daphne", "granian", "hypercorn", "uvicorn"})
_SERVERS: Final = _ASGI_SERVERS | {"gunicorn"}
_LINE: Final = 100
_WSGI_CLIENT: Final = ("from werkzeug.test import Client", "Client({app})", "open", "data", "data")
_ASGI_CLIENT: Final = (
    "from starlette.testclient import TestClient", "TestClient({app})", "request", "content", "content"
)  # fmt: skip
"""What to import, a client, its method that sends, the argument with the body, and what has that of the response."""
_TEMPLATE: Final = '''"""Made by `timetracer export pytest` from {name}: the recorded request, sent to the app again."""

import pytest
{import_client}

from {module} import {variable}


@pytest.mark.timetracer
def test_{function}():
    client = {client}
    response = client.{send}({request})
    assert response.status_code == {status}
    assert response.{content} == {body}
'''


def app_of(lane: Lane) -> str:
    """Give the app that was recorded, as ``module:variable``; ``app:app`` when its command does not say.

    Args:
        lane: as loaded.
    """
    words = _command(lane)
    if "--app" in words[:-1]:
        module = words[words.index("--app") + 1].removesuffix(".py")
        return module if ":" in module else f"{module}:app"
    if _SERVERS & {Path(word).name for word in words}:
        return next((word for word in words if re.fullmatch(r"[\w.]+:\w+", word)), "app:app")
    return "app:app"


def named(lane: Lane) -> str:
    """Give the name of the test, without ``test_``.

    Args:
        lane: as loaded.

    Raises:
        ConfigError: it served no request of HTTP.
    """
    served = _served(lane)
    words = re.sub(r"\W+", "_", f"{served.method} {split(served.url).path}".lower()).strip("_")
    return f"{words[:60]}_{lane.id[:8]}"


def _command(lane: Lane) -> list[str]:
    argv = lane.resource.get("process.command_args")
    return [str(word) for word in argv] if isinstance(argv, list) else []


def _is_asgi(lane: Lane) -> bool:
    """Whether the app was served by ASGI: its server tells, or the spans of its messages do."""
    by_server = any(server in word for word in _command(lane) for server in _ASGI_SERVERS)
    return by_server or any("asgi.event.type" in span.attributes for span in lane.spans)


def cassette_of(lane: Lane, file: Path) -> Path:
    """Give where the plugin looks for the cassette of the test.

    Args:
        lane: of the test.
        file: of the test.
    """
    return file.parent / "cassettes" / file.stem / f"test_{named(lane)}.jsonl"


def source(lane: Lane, app: str) -> str:
    """Give the text of the file.

    Args:
        lane: as loaded, its secrets opened as far as the key is here.
        app: as ``module:variable``.

    Raises:
        CassetteError: a payload was cut.
        ConfigError: the lane served no request of HTTP, or ``app`` is no name.
    """
    module, colon, variable = app.partition(":")
    if not colon or not re.fullmatch(r"[\w.]+", module) or not variable.isidentifier():
        raise ConfigError(f"--app {app}: give module:variable, such as shop.main:app")
    served = _served(lane)
    import_client, client, send, sends, content = _ASGI_CLIENT if _is_asgi(lane) else _WSGI_CLIENT
    path, headers = served.span.text(spans.HTTP_TARGET) or "/", _headers(lane)
    arguments = [repr(path), f"method={served.method!r}"] if send == "open" else [repr(served.method), repr(path)]
    arguments += [f"headers={headers!r}"] if headers else []
    arguments += [f"{sends}={served.request!r}"] if served.request else []
    request = ", ".join(arguments)
    if len(request) > _LINE:
        request = "\n        " + ",\n        ".join(arguments) + ",\n    "
    return _TEMPLATE.format(
        name=f"{served.method} {path}".replace('"', "'").replace("\\", "/"),
        import_client=import_client,
        module=module,
        variable=variable,
        function=named(lane),
        client=client.format(app=variable),
        send=send,
        request=request,
        status=served.status,
        content=content,
        body=repr(served.response or b""),
    )


def _served(lane: Lane) -> Exchange:
    served = of_entry(lane)
    if served is None:
        raise ConfigError(f"{lane.id} served no request of HTTP: only such a lane becomes a test")
    return served


def _headers(lane: Lane) -> list[tuple[str, str]]:
    assert lane.entry is not None  # noqa: S101 - _served() has looked
    pairs = spans.decode_headers(lane.entry.attributes, spans.HTTP_REQUEST_HEADERS)
    return [(name, value) for name, value in pairs if name.lower() not in _MADE_ANEW]
