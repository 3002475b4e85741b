"""Recorded exceptions come back as what they were: class, arguments, state, notes, cause; without any code run."""

from __future__ import annotations

import errno
import http.client
import json
import sys
import types
from typing import Any

import pytest

from timetracer_otel.errors import CassetteError
from timetracer_otel.seams.exceptions import encoded, rebuilt

RUNS: list[str] = []


class Quota(Exception):  # noqa: N818 - as libraries name them
    """Its constructor takes other values than its arguments, and does something."""

    def __init__(self, code: int, hint: str = "wait") -> None:
        super().__init__(f"{code}: {hint}")
        RUNS.append("init")
        self.code = code
        self.tags = {"a", "b"}
        self.body = b"\x00\xff"
        self.history = [(1, {"k": None})]


class Refused(OSError):  # noqa: N818 - as above
    """Keeps state in a slot, and gives its base other values."""

    __slots__ = ("peer",)

    def __init__(self, peer: str) -> None:
        super().__init__(errno.ECONNREFUSED, "no", "socket.name")
        self.peer = peer


def _seen(error: BaseException) -> dict[str, Any]:
    args = [repr(value) if isinstance(value, list) else value for value in error.args]
    return {"type": type(error), "args": args, "state": vars(error), "text": str(error), "repr": repr(error)}


def _undecodable() -> Exception:
    try:
        b"\xff".decode()
    except UnicodeDecodeError as error:
        return error
    raise AssertionError


@pytest.mark.parametrize(
    "error",
    [
        Quota(3, "later"),
        Refused("db"),
        ConnectionResetError(errno.ECONNRESET, "reset"),
        FileNotFoundError(errno.ENOENT, "none", "there"),
        TimeoutError(),
        StopIteration(3),
        _undecodable(),
        http.client.IncompleteRead(b"half", 5),
        http.client.RemoteDisconnected("gone"),
        ExceptionGroup("two", [ValueError(1), KeyError("k")]),
        ImportError("no", name="n", path="p"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_an_exception_comes_back_equal(error: Exception) -> None:
    """Class, arguments, state and text are those that were recorded, and no constructor of its own class runs."""
    RUNS.clear()
    again = rebuilt(encoded(error))
    assert _seen(again) == _seen(error)
    for name in ("errno", "strerror", "filename", "peer", "name", "path", "value", "reason", "start"):
        assert getattr(again, name, None) == getattr(error, name, None)
    assert RUNS == []


def test_notes_and_what_led_to_it_come_back() -> None:
    """Notes, cause and context are there, with their own state; an unknown cause is left out."""
    try:
        try:
            raise Refused("db")
        except OSError as cause:
            raise ValueError("no") from cause
    except ValueError as error:
        error.add_note("in the morning")
        recorded = encoded(error)
    again = rebuilt(recorded)
    assert again.__notes__ == ["in the morning"]
    assert isinstance(again.__cause__, Refused)
    assert again.__cause__.peer == "db"
    described = json.loads(recorded)
    described["cause"]["type"] = "nowhere.Error"
    assert rebuilt(json.dumps(described)).__cause__ is None


def test_secrets_are_masked() -> None:
    """Credentials of URLs, tokens, and values of options that speak of secrets are nowhere in the text."""
    secrets = ("geheim1", "geheim2x", "geheim3", "geheim4", "eyJhbGciOi.eyJzdWIiOi.c2ln", "ge@heim6")
    error = ValueError(
        f"mongodb://user:{secrets[0]}@host/db: Bearer {secrets[1]}",
        {"url": f"https://u:{secrets[2]}@host/?api_key={secrets[3]}&page=2", "jwt": secrets[4]},
        f"redis://:{secrets[5]}@host",
    )
    error.request = f"password={secrets[0]}"  # type: ignore[attr-defined]  # as libraries do
    text = encoded(error)
    assert [secret for secret in secrets if secret in text] == []
    assert "page=2" in text
    assert "host/db" in text


def test_what_cannot_be_made_again_is_said() -> None:
    """An object among the arguments comes back as the live one, or the replay refuses; it never becomes text."""
    error = ValueError("with", sys)
    with pytest.raises(CassetteError, match=r"holds a builtins\.module"):
        rebuilt(encoded(error))
    assert rebuilt(encoded(error), (types,)).args == ("with", types)


def test_a_name_in_a_cassette_runs_no_code(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither a module's ``__getattr__`` nor a lazy module's loading is asked; only exceptions are found."""
    asked: list[str] = []

    class Lazy(types.ModuleType):
        def __getattribute__(self, name: str) -> Any:
            asked.append(name)
            return super().__getattribute__(name)

    lazy = Lazy("lazy_library")
    vars(lazy)["__getattr__"] = asked.append
    asked.clear()
    monkeypatch.setitem(sys.modules, "lazy_library", lazy)
    for name in ("lazy_library.Error", "os.system", "builtins.KeyboardInterrupt", "builtins.print", "x", ""):
        with pytest.raises(CassetteError):
            rebuilt(json.dumps({"type": name, "args": ["true"], "members": {}}))
    assert asked == []


def test_a_cassette_sets_nothing_but_state() -> None:
    """What is no member of the class is not set on it, and a member takes only what its class lets it."""
    described = {"type": "builtins.OSError", "args": [5, "x"], "members": {"__class__": 1, "errno": 7, "nope": 1}}
    error = rebuilt(json.dumps(described))
    assert type(error) is OSError
    assert isinstance(error, OSError)
    assert (error.errno, hasattr(error, "nope")) == (7, False)


@pytest.mark.parametrize("damaged", ["{", "[]", '{"type": "builtins.ValueError"}', '{"type": 3, "args": {}}', "null"])
def test_a_damaged_one_is_said_to_be_that(damaged: str) -> None:
    """No traceback of ours, whatever is in the cassette."""
    with pytest.raises(CassetteError):
        rebuilt(damaged)


def test_cassettes_from_before_are_read() -> None:
    """Class and arguments alone make the exception that they made before."""
    error = rebuilt('{"type": "builtins.ConnectionRefusedError", "args": [111, "refused"]}')
    assert isinstance(error, ConnectionRefusedError)
    assert error.errno == errno.ECONNREFUSED
