"""Scripts recorded and verified: what they print and read, their arguments, their end, and the processes they start."""

from __future__ import annotations

import os
import pty
import shlex
import subprocess
import sys
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest

from tests.support.commands import OTEL
from tests.support.serving import serving

REPLAY = [sys.executable, "-c", "from timetracer_otel.replay.launcher import run; run()"]


class Echo(BaseHTTPRequestHandler):
    """Answers with what was asked."""

    def do_GET(self) -> None:
        """Answer a GET."""
        body = self.path.encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


class Script:
    """A script in a folder of its own.

    Args:
        folder: an empty one.
        text: of the script.
    """

    def __init__(self, folder: Path, text: str) -> None:
        self.folder = folder
        (folder / "job.py").write_text(text)
        self.env = {**os.environ, "TIMETRACER_RAISE_FAULTS": "1"}

    def run(
        self, command: list[str], stdin: bytes = b"", env: Mapping[str, str] | None = None
    ) -> subprocess.CompletedProcess[bytes]:
        """Run a command in the folder."""
        return subprocess.run(
            command,
            cwd=self.folder,
            env={**self.env, **(env or {})},
            input=stdin,
            capture_output=True,
            check=False,
            timeout=300,
        )

    def record(
        self, *arguments: str, stdin: bytes = b"", env: Mapping[str, str] | None = None
    ) -> subprocess.CompletedProcess[bytes]:
        """Run it recorded."""
        return self.run([*OTEL, "--traces_exporter", "timetracer", sys.executable, "job.py", *arguments], stdin, env)

    def verify(self, *arguments: str, env: Mapping[str, str] | None = None) -> str:
        """Verify what was recorded; give what is said, with the exit status before it."""
        command = [*REPLAY, "--verify", "cassettes", "--", sys.executable, "job.py", *arguments]
        done = self.run(command, env=env)
        return f"{done.returncode} {done.stdout.decode()}{done.stderr.decode()}"


PRINTS = """
import os, subprocess, sys
word = os.environ.get("WORD", "tea")
print("text", word, flush=True)
sys.stdout.buffer.write(b"\\xff binary " + word.encode() + b"\\n")
sys.stdout.flush()
os.write(1, b"below " + word.encode() + b"\\n")
subprocess.run(["echo", "another program"], check=True)
sys.stdout.write("and no end of line")
"""


def test_what_a_script_prints_is_printed_as_ever_and_compared(tmp_path: Path) -> None:
    """Text, bytes and os.write are compared; what another program prints is not taken for the script's."""
    script = Script(tmp_path, PRINTS)
    assert script.record().stdout == script.run([sys.executable, "job.py"]).stdout
    assert script.verify().startswith("0 ")
    assert "line 1: 'text tea' recorded, 'text cup' now" in script.verify(env={"WORD": "cup"})


@pytest.mark.system
def test_click_writes_bytes_to_ask_what_a_stream_is(tmp_path: Path) -> None:
    """A library that tries to write bytes to a text stream, and catches what is raised, loses nothing."""
    text = "import sys\ntry:\n    sys.stdout.write(b'')\nexcept TypeError:\n    print('text, it is')\n"
    script = Script(tmp_path, text)
    assert script.record().stdout == b"text, it is\n"
    assert script.verify().startswith("0 ")


@pytest.mark.system
def test_the_latest_script_is_replayed_by_default_and_under_another_name(tmp_path: Path) -> None:
    """Without a cassette the newest recording counts, a script's too; a moved and renamed copy draws what it drew."""
    script = Script(tmp_path, "import uuid\nprint(uuid.uuid4())\n")
    said = [script.record().stdout for _ in range(2)][1]
    (tmp_path / "moved").mkdir()
    (tmp_path / "moved" / "renamed.py").write_text((tmp_path / "job.py").read_text())
    for program in ("job.py", "moved/renamed.py"):
        assert script.run([*REPLAY, "--", sys.executable, program]).stdout == said
    shown = script.run([sys.executable, "-m", "timetracer_otel.cli", "show"])
    assert shown.stdout.startswith(b"session job")


@pytest.mark.system
def test_each_run_is_verified_with_its_own_arguments_and_stdin(tmp_path: Path) -> None:
    """Two runs are two: each is given what it was given, whichever of them the command names."""
    script = Script(tmp_path, "import sys\nprint(sys.argv[1:], [line.upper() for line in sys.stdin])\n")
    script.record("--name", "one", stdin=b"first\nlines\n")
    script.record("two", stdin=b"second")
    told = script.verify()
    assert told.startswith("0 ")
    assert " 2 " in told
    assert script.verify("two").startswith("0 ")
    assert script.verify("three").startswith("1 ")  # nobody recorded that: the user wants it


@pytest.mark.system
def test_a_reader_that_leaves_leaves_there_again(tmp_path: Path) -> None:
    """A script whose output went to ``head`` is not expected to print more than it could."""
    script = Script(tmp_path, "for number in range(50_000):\n    print('line', number)\n")
    recorded = shlex.join([*OTEL, "--traces_exporter", "timetracer", sys.executable, "job.py"])
    assert script.run(["sh", "-c", f"{recorded} | head -n 2"]).stdout == b"line 0\nline 1\n"
    told = script.verify()
    assert told.startswith("0 "), told


def test_stdin_that_is_not_read_stays_where_it_is(tmp_path: Path) -> None:
    """Of what the script leaves in its stdin, nothing is taken: a program after it gets it."""
    script = Script(tmp_path, "print('leaves it')\n")
    recorded = shlex.join([*OTEL, "--traces_exporter", "timetracer", sys.executable, "job.py"])
    done = script.run(["sh", "-c", f"{recorded}; cat"], stdin=b"for the next")
    assert done.stdout == b"leaves it\nfor the next"


@pytest.mark.system
def test_a_terminal_is_a_terminal_again(tmp_path: Path) -> None:
    """A script that was recorded at a terminal is given one of that size when it is verified."""
    script = Script(
        tmp_path,
        "import os, sys\n"
        "print(*(stream.isatty() for stream in (sys.stdin, sys.stdout)), os.get_terminal_size().columns)\n"
        "print('hello', input('who? '))\n",
    )
    ours, theirs = pty.openpty()
    os.write(ours, b"me\n")
    command = [*OTEL, "--traces_exporter", "timetracer", sys.executable, "job.py"]
    subprocess.run(
        command, cwd=tmp_path, env=script.env, stdin=theirs, stdout=theirs, stderr=theirs, check=True, timeout=120
    )
    assert b"hello me" in os.read(ours, 10_000)
    os.close(ours)
    os.close(theirs)
    told = script.verify()
    assert told.startswith("0 "), told


STARTS = """
import multiprocessing, os, subprocess, sys, urllib.request

base = os.environ["BASE"]
told = "sys.orig_argv[1:-1], 'OTEL_TRACES_EXPORTER' in os.environ"
code = f"import os, sys, urllib.request; print({told}, urllib.request.urlopen('{base}/%s').read())"

def ask(name):
    return urllib.request.urlopen(f"{base}/{name}").read()

if __name__ == "__main__":
    print(ask("own"))
    for method in sys.argv[1:]:
        if method.startswith("-"):
            print(subprocess.run([sys.executable, method, "-c", code % method], stdout=subprocess.PIPE).stdout)
        elif method == "bare":
            print(subprocess.run([sys.executable, "-c", code % method], stdout=subprocess.PIPE, env={}).stdout)
        else:
            with multiprocessing.get_context(method).Pool(1) as pool:
                print(pool.map(ask, [f"{method}-{n}" for n in range(2)]))
"""


@pytest.mark.system
@pytest.mark.parametrize("started", [("spawn", "forkserver", "fork"), ("-I", "-E", "-S", "bare")])
def test_children_are_recorded_answered_and_verified(started: tuple[str, ...], tmp_path: Path) -> None:
    """However a script starts another Python, it is the script's: recorded with it, and answered with the peer gone."""
    script = Script(tmp_path, STARTS)
    with serving(Echo) as base:
        live = script.run([sys.executable, "job.py", *started], env={"BASE": base}).stdout
        recorded = script.record(*started, env={"BASE": base})
    again = script.run([*REPLAY, "cassettes", "--", sys.executable, "job.py", *started], env={"BASE": base})
    told = script.verify(env={"BASE": base})
    if "-I" in started:  # they see the recorder's variables as the user gave them, and nothing else of it
        live = live.replace(b" False ", b" True ", 3)
    assert recorded.stdout == live
    assert again.stdout == live, again.stderr
    assert b"0 missed" in again.stderr
    assert told.startswith("0 "), told


@pytest.mark.system
def test_a_python_that_cannot_be_answered_is_named(tmp_path: Path) -> None:
    """Another Python, run apart, is said when it is recorded, when it is replayed and when it is verified."""
    other = tmp_path / "python3"
    other.write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n')
    other.chmod(0o755)
    script = Script(tmp_path, "import subprocess\nsubprocess.run(['./python3', '-I', '-c', 'print(1)'], check=True)\n")
    assert b"does not record the calls of ./python3" in script.record().stderr
    replayed = script.run([*REPLAY, "cassettes", "--", sys.executable, "job.py"])
    assert b"not replayed" in replayed.stderr
    assert script.verify().startswith("1 ")


@pytest.mark.system
@pytest.mark.parametrize("server", [("flask", "run"), ("uvicorn", "app:app")])
def test_a_server_that_never_starts_is_no_script(server: tuple[str, ...], tmp_path: Path) -> None:
    """An app that dies at import is one error with what it said, also when no request was recorded of it."""
    script = Script(tmp_path, "print('recorded')\n")
    script.record()
    (tmp_path / "app.py").write_text("raise RuntimeError('no such setting')\n")
    command = [*REPLAY, "--verify", "cassettes", "--", str(Path(sys.executable).with_name(server[0])), *server[1:]]
    done = script.run([*command, "--port", "0"])
    assert done.returncode == 1, done.stderr
    assert done.stdout.count(b"problem: the server never started: the command ended with status") == 1
    assert b"RuntimeError: no such setting" in done.stdout
    assert b"DIFFERS" not in done.stdout


@pytest.mark.system
def test_options_of_the_command_are_its_own(tmp_path: Path) -> None:
    """Also one that is short for one of OpenTelemetry's launcher, whose parser knows abbreviations."""
    script = Script(tmp_path, "import sys\nprint(sys.argv[1:])\n")
    script.run([*OTEL, "--traces_exporter", "timetracer", "--", sys.executable, "job.py", "--co", "--", "x"])
    again = script.run([*REPLAY, "cassettes", "--", sys.executable, "job.py", "--co", "--", "x"])
    assert again.stdout == b"['--co', '--', 'x']\n", again.stderr
    assert script.verify().startswith("0 ")


POOL = """
import multiprocessing, sys, threading, time, uuid
from concurrent.futures import ProcessPoolExecutor
from urllib.request import urlopen

def work(number):
    wait = open("/dev/urandom", "rb").read(1)[0] / 2000
    threading.Event().wait(wait)
    with urlopen(f"{sys.argv[2]}/{number}?id={uuid.uuid4()}") as reply:
        reply.read()
    print("did", number, uuid.uuid4(), flush=True)
    return number, str(uuid.uuid4())

if __name__ == "__main__":
    context = multiprocessing.get_context(sys.argv[1])
    with context.Pool(2) as pool:
        print(pool.map(work, range(6), chunksize=1))
    for first in (10, 20):
        with ProcessPoolExecutor(2, mp_context=context) as executor:
            print(list(executor.map(work, range(first, first + 3))))
"""


@pytest.mark.system
@pytest.mark.parametrize(
    "method", ["fork", *(pytest.param(one, marks=pytest.mark.system) for one in ("spawn", "forkserver"))]
)
def test_whichever_process_of_a_pool_does_it_a_piece_of_work_draws_the_same(tmp_path: Path, method: str) -> None:
    """So its calls are the recorded ones; what is printed by a worker that its pool kills is not judged."""
    script = Script(tmp_path, POOL)
    with serving(Echo) as base:
        done = script.record(method, base)
    assert done.returncode == 0, done.stderr.decode()
    for _ in range(2):
        told = script.verify()
        assert told.startswith("0 "), told
