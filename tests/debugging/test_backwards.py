"""Going backwards in a replayed lane, as an editor asks for it."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.debugging.harness import DJANGO, FASTAPI, FLASK, Debugged, line, recorded, under_dap

pytestmark = pytest.mark.system  # every test starts a service, twice
backwards = pytest.mark.skipif(sys.version_info < (3, 12), reason="Python 3.11 has no way back, which it says")
KINDS = {
    "flask": (FLASK, "/discount/cup", ""),
    "fastapi": (FASTAPI, "/discount/cup", ""),
    "fastapi in a thread": (FASTAPI, "/sync/cup", " in sync"),
    "django": (DJANGO, "/sync/cup", " in sync"),
    "django on the loop": (DJANGO, "/discount/cup", ""),
}


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> tuple[Path, str, str]:
    """A file, the target that fails in it, and how the marks of its lines end."""
    return KINDS[request.param]


def at_exception(debugged: Debugged, app: Path, mark: str) -> int:
    """Stop at a breakpoint, go on to the exception; give the thread."""
    debugged.client.attach({app: [line(app, "adds" + mark)]})
    debugged.send()
    stopped = debugged.client.stopped()
    assert (stopped.reason, stopped.line, stopped.value("total")) == ("breakpoint", line(app, "adds" + mark), "0")
    for worth in ("3", "6"):
        stopped = debugged.client.go("continue", stopped.thread)
        assert (stopped.reason, stopped.value("total")) == ("breakpoint", worth)
    stopped = debugged.client.go("continue", stopped.thread)
    assert (stopped.reason, stopped.line, stopped.value("wrong")) == ("exception", line(app, "fails" + mark), "0")
    return stopped.thread


@backwards
def test_from_an_exception_back_to_its_cause(tmp_path: Path, kind: tuple[Path, str, str]) -> None:
    """Step by step and breakpoint by breakpoint, with the values of then; forwards again; one answer goes out."""
    app, target, mark = kind
    with under_dap(recorded(tmp_path, app, target), app, target) as debugged:
        client, thread = debugged.client, at_exception(debugged, app, mark)
        assert client.capabilities["supportsStepBack"]
        names = []
        while (stopped := client.go("stepBack", thread)).line != line(app, "cause" + mark):
            names.append(stopped.line)
            thread = stopped.thread
            assert len(names) < 4, names
        assert "wrong" not in stopped.names()
        assert stopped.value("total") == "10"
        earlier = client.go("stepBack", stopped.thread)
        assert earlier.line == line(app, "cause" + mark) - 1
        for worth in ("6", "3", "0"):
            earlier = client.go("reverseContinue", earlier.thread)
            assert (earlier.line, earlier.value("total")) == (line(app, "adds" + mark), worth)
        forwards = client.go("next", earlier.thread)
        assert forwards.value("total") == "3"
        client.set_breakpoints(app, [])
        failed = client.go("continue", forwards.thread)
        assert (failed.reason, failed.line) == ("exception", line(app, "fails" + mark))
        client.ask("continue", threadId=failed.thread)
        assert debugged.answered() == [500]
        client.ask("disconnect", terminateDebuggee=False)


@backwards
def test_the_beginning_is_the_last_line_back(tmp_path: Path) -> None:
    """Without an earlier breakpoint the way back ends at the first line, and stays there."""
    with under_dap(recorded(tmp_path, FLASK, "/discount/pen"), FLASK, "/discount/pen") as debugged:
        client = debugged.client
        client.attach({FLASK: [(line(FLASK, "adds"), "one == 'ink'")]})
        debugged.send()
        stopped = client.stopped()
        assert stopped.value("total") == "6"
        assert stopped.value("SEEN.setdefault('mine', 1)") == "1"
        first = client.go("reverseContinue", stopped.thread)
        assert first.line == line(FLASK, "entry")
        assert first.value("SEEN") == "{}"
        again = client.go("stepBack", first.thread)
        assert again.line == line(FLASK, "entry")
        stopped = client.go("continue", again.thread)
        assert (stopped.reason, stopped.value("total")) == ("breakpoint", "6")
        client.ask("continue", threadId=stopped.thread)
        assert debugged.answered() == [200]


@backwards
def test_a_pool_of_before_the_request_works_in_each_run(tmp_path: Path) -> None:
    """Threads that a fork lacks are started anew; a step back does not wait for them."""
    with under_dap(recorded(tmp_path, FLASK, "/pooled"), FLASK, "/pooled") as debugged:
        client = debugged.client
        client.attach({FLASK: [line(FLASK, "summed")]})
        debugged.send()
        stopped = client.stopped()
        assert stopped.value("prices") == "[3, 4, 3]"
        back = client.go("stepBack", stopped.thread)
        assert back.line == line(FLASK, "summed") - 1
        assert "rows" not in back.names()
        stopped = client.go("continue", back.thread)
        assert stopped.value("len(rows)") == "1"
        client.ask("continue", threadId=stopped.thread)
        assert debugged.answered() == [200]


@pytest.mark.skipif(sys.version_info >= (3, 12), reason="this Python has a way back")
def test_a_python_without_a_way_back_says_so(tmp_path: Path) -> None:
    """It offers none; who asks all the same is told why, and the lane stands where it stood."""
    with under_dap(recorded(tmp_path, FLASK, "/discount/pen"), FLASK, "/discount/pen") as debugged:
        client = debugged.client
        client.attach({FLASK: [line(FLASK, "cause")]})
        assert not client.capabilities["supportsStepBack"]
        debugged.send()
        stopped = client.stopped()
        for command in ("stepBack", "reverseContinue"):
            refused = client.request(command, threadId=stopped.thread)
            assert not refused["success"]
            assert "needs Python 3.12" in refused["message"]
        assert stopped.value("total") == "10"
        client.ask("continue", threadId=stopped.thread)
        assert debugged.answered() == [200]
