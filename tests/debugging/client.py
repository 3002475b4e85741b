"""A client of the Debug Adapter Protocol that asks what VS Code asks, in its order."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Mapping, Sequence
from itertools import count
from pathlib import Path
from typing import Any, Self, TypeAlias

__all__ = ["Client", "Stopped"]

PATIENCE = 60.0
FILTERS = ("uncaught", "userUnhandled")
Wanted: TypeAlias = int | tuple[int, str]
"""The line of a breakpoint, and its condition if it has one."""


class Stopped:
    """Where the program stands.

    Args:
        client: that asks.
        thread: that has stopped.
        reason: of the stop.
    """

    def __init__(self, client: Client, thread: int, reason: str) -> None:
        self.client = client
        self.thread = thread
        self.reason = reason
        frames = client.ask("stackTrace", threadId=thread, startFrame=0, levels=20)["stackFrames"]
        self.frames: list[tuple[str, int, str]] = [
            (Path(one["source"]["path"]).name, one["line"], one["name"]) for one in frames
        ]
        self.frame = frames[0]["id"]

    @property
    def line(self) -> int:
        """The line that is about to run."""
        return self.frames[0][1]

    def value(self, expression: str) -> str:
        """What an expression is worth here, as its repr."""
        return str(self.client.ask("evaluate", expression=expression, frameId=self.frame, context="watch")["result"])

    def names(self) -> dict[str, str]:
        """The local variables."""
        scopes = self.client.ask("scopes", frameId=self.frame)["scopes"]
        variables = self.client.ask("variables", variablesReference=scopes[0]["variablesReference"])["variables"]
        return {one["name"]: one["value"] for one in variables}


class Client:
    """A connection with the launcher.

    Args:
        port: where a debugger may attach.
    """

    def __init__(self, port: int) -> None:
        self._socket = _connected(port)
        self._file = self._socket.makefile("rb")
        self._numbers = count(1)
        self.events: list[dict[str, Any]] = []
        self.capabilities: dict[str, Any] = {}
        self.said = ""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.vanish()

    def attach(
        self,
        breakpoints: Mapping[Path, Sequence[Wanted]],
        filters: Sequence[str] = FILTERS,
        **more: object,
    ) -> None:
        """Do what an editor does when its user presses F5."""
        self.capabilities = self.ask(
            "initialize", clientID="vscode", clientName="Visual Studio Code", adapterID="debugpy", locale="en",
            linesStartAt1=True, columnsStartAt1=True, pathFormat="path", supportsVariableType=True,
            supportsVariablePaging=True, supportsRunInTerminalRequest=True, supportsStartDebuggingRequest=True,
        )  # fmt: skip
        self.ask("attach", name="replay", type="debugpy", request="attach", justMyCode=True, **more)
        self.event("initialized")
        for file, lines in breakpoints.items():
            self.set_breakpoints(file, lines)
        self.ask("setFunctionBreakpoints", breakpoints=[])
        self.ask("setExceptionBreakpoints", filters=list(filters), filterOptions=[])
        self.ask("configurationDone")
        self.ask("threads")

    def set_breakpoints(self, file: Path, lines: Sequence[Wanted]) -> None:
        """Set all breakpoints of a file."""
        wanted = [{"line": one} if isinstance(one, int) else {"line": one[0], "condition": one[1]} for one in lines]
        answer = self.ask("setBreakpoints", source={"path": str(file), "name": file.name}, breakpoints=wanted)
        assert all(one["verified"] for one in answer["breakpoints"]), answer

    def ask(self, command: str, **arguments: object) -> dict[str, Any]:
        """Ask something that is granted."""
        answer = self.request(command, **arguments)
        assert answer["success"], answer
        body: dict[str, Any] = answer.get("body") or {}
        return body

    def request(self, command: str, **arguments: object) -> dict[str, Any]:
        """Ask something; give the whole response."""
        number = next(self._numbers)
        message = {"seq": number, "type": "request", "command": command, "arguments": arguments}
        body = json.dumps(message).encode()
        self._socket.sendall(b"Content-Length: %d\r\n\r\n%b" % (len(body), body))
        while True:
            message = self._read()
            if message["type"] == "response" and message["request_seq"] == number:
                assert message["command"] == command
                return message
            self._keep(message)

    def event(self, name: str) -> dict[str, Any]:
        """Wait for an event."""
        while True:
            for position, message in enumerate(self.events):
                if message["event"] == name:
                    return self.events.pop(position)
            self._keep(self._read())

    def stopped(self) -> Stopped:
        """Wait until the program stands."""
        body = self.event("stopped")["body"]
        self.ask("threads")
        return Stopped(self, body["threadId"], body["reason"])

    def go(self, command: str, thread: int) -> Stopped:
        """Move, and wait until the program stands again."""
        self.ask(command, threadId=thread)
        return self.stopped()

    def timed(self, command: str, thread: int) -> tuple[float, dict[str, Any]]:
        """Move; give the seconds until the program stood, and the event."""
        began = time.perf_counter()
        self.ask(command, threadId=thread)
        event = self.event("stopped")
        return time.perf_counter() - began, event

    def vanish(self) -> None:
        """Leave without a word."""
        self._file.close()
        self._socket.close()

    def _keep(self, message: dict[str, Any]) -> None:
        if message["type"] != "event":
            return
        if message["event"] == "output":
            self.said += message["body"]["output"]
        else:
            self.events.append(message)

    def _read(self) -> dict[str, Any]:
        length = 0
        while line := self._file.readline().strip():
            length = int(line.partition(b":")[2])
        assert length, f"the debugger has hung up; it said: {self.said}"
        message: dict[str, Any] = json.loads(self._file.read(length))
        return message


def _connected(port: int) -> socket.socket:
    end = time.monotonic() + PATIENCE
    while True:
        try:
            return socket.create_connection(("127.0.0.1", port), timeout=PATIENCE)
        except ConnectionRefusedError:
            if time.monotonic() > end:
                raise
            time.sleep(0.05)
