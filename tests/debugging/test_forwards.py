"""A replayed lane under a debugger of an editor."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from tests.debugging.client import Client
from tests.debugging.harness import FASTAPI, FLASK, line, recorded, under_dap

pytestmark = pytest.mark.system  # every test starts a service, twice
SERVERS = {
    "flask's reloader": (FLASK, "flask --app tests.debugging.shop_flask run --debug --port {port}"),
    "gunicorn": (FLASK, "gunicorn tests.debugging.shop_flask:app --workers 2 --bind 127.0.0.1:{port}"),
    "gunicorn's threads": (FLASK, "gunicorn tests.debugging.shop_flask:app --threads 3 --bind 127.0.0.1:{port}"),
    "gunicorn over uvicorn": (
        FASTAPI,
        "gunicorn tests.debugging.shop_fastapi:app -k uvicorn.workers.UvicornWorker --bind 127.0.0.1:{port}",
    ),
    "uvicorn's workers": (
        FASTAPI,
        "uvicorn tests.debugging.shop_fastapi:app --workers 2 --port {port}",
    ),
    "uvicorn's reloader": (FASTAPI, "uvicorn tests.debugging.shop_fastapi:app --reload --port {port}"),
}


@pytest.mark.parametrize("server", SERVERS)
def test_a_breakpoint_holds_under_every_server(tmp_path: Path, server: str) -> None:
    """Whichever process gets the request stops in it, with recorded values, as often as it is restarted."""
    app, command = SERVERS[server]
    target = "/discount/pen"
    with under_dap(recorded(tmp_path, app, target), app, target, command=command) as debugged:
        client = debugged.client
        client.attach({app: [line(app, "cause")]})
        debugged.send()
        stopped = client.stopped()
        assert (stopped.line, stopped.names()["total"], stopped.value("rows")) == (line(app, "cause"), "10", "[(7,)]")
        client.ask("restart")
        again = client.stopped()
        assert (again.line, again.value("total")) == (line(app, "cause"), "10")
        moved = client.go("next", again.thread)
        assert moved.value("wrong") == "3"
        client.ask("continue", threadId=moved.thread)
        assert debugged.answered() == [200]
        client.ask("disconnect", terminateDebuggee=False)


@pytest.mark.parametrize(("app", "where"), [(FLASK, "tests.debugging.shop_flask"), (FASTAPI, "a thread's")])
def test_it_stops_before_the_line_of_a_recorded_call(tmp_path: Path, app: Path, where: str) -> None:
    """``--break-at`` takes a call by words of its address, also one that a thread of the app makes."""
    target = "/discount/pen"
    with under_dap(recorded(tmp_path, app, target), app, target, "--break-at", "select") as debugged:
        client = debugged.client
        client.attach({})
        debugged.send()
        stopped = client.stopped()
        assert stopped.frames[0][:2] == (FLASK.name, line(FLASK, "asks")), where
        assert "rows" not in stopped.names()
        client.ask("continue", threadId=stopped.thread)
        assert debugged.answered() == [200]


def test_a_client_that_vanishes_leaves_the_lane_to_end(tmp_path: Path) -> None:
    """The request is answered, once; another client may come for the next one."""
    with under_dap(recorded(tmp_path, FLASK, "/discount/pen"), FLASK, "/discount/pen") as debugged:
        debugged.client.attach({FLASK: [line(FLASK, "cause")]})
        debugged.send()
        debugged.client.stopped()
        debugged.client.vanish()
        assert debugged.answered() == [200]


def test_a_lane_ends_without_its_debugger(tmp_path: Path) -> None:
    """Who disconnects lets it run on; there is nothing to ask a run for while none is under way."""
    with under_dap(recorded(tmp_path, FASTAPI, "/sync/pen"), FASTAPI, "/sync/pen") as debugged:
        client: Client = debugged.client
        client.attach({FASTAPI: [line(FASTAPI, "cause in sync")]})
        refused = client.request("pause", threadId=1)
        assert not refused["success"]
        assert "send it" in refused["message"]
        debugged.send()
        client.stopped()
        client.ask("disconnect", terminateDebuggee=False)
        assert debugged.answered() == [200]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("app", [FLASK, FASTAPI])
def test_a_program_that_stands_at_a_breakpoint_can_be_ended(tmp_path: Path, app: Path, number: int) -> None:
    """By Ctrl-C or a signal, also where the server waits for its request to end; nothing is left behind."""
    lane = recorded(tmp_path, app, "/discount/pen")
    with under_dap(lane, app, "/discount/pen") as debugged:
        debugged.client.attach({app: [line(app, "cause")]})
        debugged.send()
        debugged.client.stopped()
        os.killpg(debugged.program.pid, number)  # as a terminal does
        debugged.client.event("terminated")
        debugged.program.wait()
