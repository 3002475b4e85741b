"""A library that nobody has heard of is one file: recorded, replayed, verified, listed, switched off by its name."""

from __future__ import annotations

import json
import socketserver
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.commands import OTEL, REPLAY
from tests.support.made_up import install, run

LIBRARY = """
import os, socket

def ask(text):
    if text == "":
        raise ValueError("nothing to ask")
    with socket.create_connection(("127.0.0.1", int(os.environ["INKWELL_PORT"])), timeout=10) as conn:
        conn.sendall(text.encode() + b"\\n")
        return conn.makefile("rb").readline().decode().rstrip()
"""
DECLARATION = """
import hashlib

from timetracer_otel import seams, spans
from timetracer_otel.seams import Description, Generator, Instrumentor, Integration, Patch, exceptions

NAME = "inkwell"


def described(text):
    digest = hashlib.sha256(text.encode()).digest()
    return Description((NAME, "ask", text), digest, (), read=True)


def ask(wrapped, instance, args, kwargs):
    (text,) = args
    answering = seams.responder(NAME)
    if answering is not None:
        recorded = answering.answer(described(text), lambda: {"ask": text}).recorded
        if (error := recorded.text(spans.ERROR)) is not None:
            raise exceptions.rebuilt(error, (), None)
        return recorded.payload(spans.RESPONSE).decode()
    call = seams.begin(NAME, lambda: ("ask", {"db.system.name": NAME}))
    token = seams.live_io.set(True)
    try:
        told = wrapped(*args, **kwargs)
    except BaseException as error:
        if call is not None:
            call.put(spans.REQUEST, text.encode())
            call.fail(error)
            call.end()
        raise
    finally:
        seams.live_io.reset(token)
    if call is not None:
        call.put(spans.REQUEST, text.encode())
        call.put(spans.RESPONSE, told.encode())
        call.end()
    return told


INTEGRATION = Integration(
    name=NAME,
    aliases=("quill",),
    patches=(Patch("inkwell", "ask", ask),),
    describe=lambda span: described(span.payload(spans.REQUEST).decode()),
    render=lambda span: {"request": span.text(spans.REQUEST), "response": span.text(spans.RESPONSE)},
    packages={"inkwell": "inkwell"},
    plumbing=("inkwell",),
    generators=(Generator("inkpot", "drop", "uuid"),),
)
"""
PROGRAM = """
import inkpot, inkwell
print(inkwell.ask("how are you"), inkwell.ask("and now " + inkpot.drop()))
try:
    inkwell.ask("")
except ValueError as error:
    print(type(error).__name__, error)
"""
DRAWING = """
import itertools, os
def drop():
    return os.environ["INKPOT"]
"""


class Echo(socketserver.StreamRequestHandler):
    """Answers each line in capitals."""

    def handle(self) -> None:
        """Answer one line."""
        self.wfile.write(self.rfile.readline().upper())


@pytest.fixture
def port() -> Iterator[int]:
    """The port of a server that the library asks."""
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Echo) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_address[1]
        server.shutdown()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where the library is installed with what declares it: one file, and the metadata of any installed package."""
    install(tmp_path, "inkwell", LIBRARY, DECLARATION)
    (tmp_path / "inkpot.py").write_text(DRAWING)
    (tmp_path / "program.py").write_text(PROGRAM)
    return tmp_path


def recorded(folder: Path, port: int) -> str:
    """Record the program; what it printed."""
    command = (*OTEL, "--traces_exporter", "timetracer", sys.executable, "program.py")
    done = run(folder, *command, INKWELL_PORT=str(port), INKPOT="drop-one")
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_it_is_recorded_and_replayed(folder: Path, port: int) -> None:
    """Its calls, its errors and what its generator draws come back with the server gone, and verify agrees."""
    printed = recorded(folder, port)
    assert printed == "HOW ARE YOU AND NOW DROP-ONE\nValueError nothing to ask\n"
    nowhere = {"INKWELL_PORT": "1", "INKPOT": "drop-two"}
    replayed = run(folder, *REPLAY, "cassettes", "--", sys.executable, "program.py", **nowhere)
    assert (replayed.returncode, replayed.stdout) == (0, printed), replayed.stderr
    assert "3 calls answered (3 exact), 0 missed, 0 unused" in replayed.stderr
    verified = run(folder, *REPLAY, "--verify", "cassettes", "--", sys.executable, "program.py", **nowhere)
    assert verified.returncode == 0, verified.stdout + verified.stderr
    changed = (folder / "program.py").read_text().replace("how are", "who are")
    (folder / "program.py").write_text(changed)
    verified = run(folder, *REPLAY, "--verify", "cassettes", "--", sys.executable, "program.py", **nowhere)
    assert verified.returncode == 1, verified.stdout + verified.stderr


def test_it_is_listed_and_shown(folder: Path, port: int) -> None:
    """By the commands, with the version that is installed; a recording says which one it was."""
    recorded(folder, port)
    timetracer = (sys.executable, "-m", "timetracer_otel.cli")
    listed = json.loads(run(folder, *timetracer, "plugins", "--json").stdout)
    (own,) = [one for one in listed if one["name"] == "inkwell"]
    assert own == {"name": "inkwell", "aliases": ["quill"], "installed": {"inkwell": "7.1"}, "instrumentors": []}
    assert "inkwell" in run(folder, *timetracer, "plugins").stdout
    (lane,) = json.loads(run(folder, *timetracer, "show", "cassettes", "--json").stdout)["lanes"]
    assert lane["resource"]["timetracer.library.inkwell"] == "7.1"
    assert "HOW ARE YOU" in json.dumps(lane)


@pytest.mark.system
@pytest.mark.parametrize("name", ["inkwell", "quill"])
def test_it_is_switched_off_by_its_name(folder: Path, port: int, name: str) -> None:
    """In a recording from code, and let out of a replay by --live: then the server is asked."""
    recorded(folder, port)
    live = run(
        folder, *REPLAY, "--live", name, "cassettes", "--", sys.executable, "program.py", INKWELL_PORT=str(port),
        INKPOT="drop-two",
    )  # fmt: skip
    assert live.stdout == "HOW ARE YOU AND NOW DROP-ONE\nValueError nothing to ask\n"
    assert "0 calls answered" in live.stderr
    program = (
        "import timetracer_otel\n"
        "from timetracer_otel.plugins import disable_{0}, enable_{0}\n"
        "timetracer_otel.install(mode='record', dir='off')\n"
        "disable_{0}()\n"
        "import inkwell\n"
        "inkwell.ask('unseen')\n"
        "enable_{0}()\n"
        "inkwell.ask('seen')\n"
    )
    (folder / "off.py").write_text(program.format(name))
    done = run(folder, sys.executable, "off.py", INKWELL_PORT=str(port))
    assert (done.returncode, done.stderr) == (0, "")
    kept = "".join(file.read_text() for file in (folder / "off").rglob("SESSION__*"))
    assert "unseen" not in kept
    assert "SEEN" in kept


def test_one_that_cannot_be_imported_is_left_out(folder: Path, port: int) -> None:
    """It is said once; everything else is recorded as ever."""
    (folder / "timetracer_inkwell.py").write_text("raise RuntimeError('broken')\n")
    command = (*OTEL, "--traces_exporter", "timetracer", sys.executable, "program.py")
    done = run(folder, *command, INKWELL_PORT=str(port), INKPOT="x")
    assert (done.returncode, done.stdout.split("\n")[0]) == (0, "HOW ARE YOU AND NOW X")
    assert (
        done.stderr.count("the integration 'inkwell' (timetracer_inkwell) cannot be imported: RuntimeError: broken")
        == 1
    )
    assert list((folder / "cassettes").rglob("SESSION__*"))
