"""What is recorded of how a script ended: its status, or nothing; never a wrong one."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.commands import OTEL
from timetracer_otel import spans
from timetracer_otel.cassette import loading, storage

ENDS = {
    "to its end": ("pass", 0, 0),
    "sys.exit": ("import sys; sys.exit(3)", 3, 3),
    "sys.exit of a text": ("import sys; sys.exit('gone')", 1, 1),
    "an exit that it catches": ("import sys\ntry:\n    sys.exit(3)\nexcept SystemExit:\n    pass", 0, 0),
    "another exit than it caught": (
        "import sys\ntry:\n    sys.exit(3)\nexcept SystemExit:\n    raise SystemExit(5) from None",
        5,
        None,
    ),
    "an exit of a thread": ("import sys, threading\nthreading.Thread(target=sys.exit, args=(3,)).start()", 0, 0),
    "a library that leaves": ("import wave, leaving\nleaving.leave()", 4, None),
    "os._exit": ("import os, sys\nsys.stdout.flush()\nos._exit(6)", 6, None),
    "a signal": ("import os, signal\nos.kill(os.getpid(), signal.SIGKILL)", -9, None),
    "exit": ("exit(3)", 3, 3),
    "quit with a message": ("def main():\n    quit('gone')\nmain()", 1, 1),
    "an exit that goes on by another": ("try:\n    exit(3)\nexcept SystemExit:\n    raise SystemExit(4)", 4, None),
    "SystemExit": ("def main():\n    return 5\nraise SystemExit(main())", 5, None),
    "an exception": ("raise ValueError('x')", 1, 1),
    "an exit through a handler": (
        "import sys\ntry:\n    raise KeyError\nexcept KeyError as error:\n    sys.exit(3)\nfinally:\n    print(1)",
        3,
        3,
    ),
    "Ctrl-C": ("raise KeyboardInterrupt", -2, 130),
}


def recorded_status(folder: Path) -> object:
    """The exit status in the one session below a folder; None when there is none."""
    if not (folder / "cassettes").exists():
        return None  # it was killed before it did anything
    (session,) = loading.load(storage.find([str(folder / "cassettes")], folder)).sessions.values()
    found = [span.attributes.get(spans.SESSION_EXIT_STATUS) for span in session.spans]
    return next((status for status in found if status is not None), None)


_MODULES = [pytest.param("module", end, marks=pytest.mark.system) for end in ENDS]  # half a minute


@pytest.mark.system
@pytest.mark.parametrize(("how", "end"), [*(("script", end) for end in ENDS), *_MODULES])
def test_the_status_is_right_or_unknown(how: str, end: str, tmp_path: Path) -> None:
    """However a program ends, its recorded status is the real one, or there is none."""
    body, status, known = ENDS[end]
    (tmp_path / "leaving.py").write_text("def leave():\n    raise SystemExit(4)\n")
    (tmp_path / "job.py").write_text(f"print('working')\n{body}\n")
    command = [sys.executable, *(["job.py"] if how == "script" else ["-m", "job"])]
    ended = subprocess.run(
        [*OTEL, "--traces_exporter", "timetracer", *command],
        cwd=tmp_path,
        env=os.environ,
        check=False,
        timeout=60,
    )
    assert ended.returncode == status
    assert recorded_status(tmp_path) == known
