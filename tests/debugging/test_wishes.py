"""What a client wants is said to each run again."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from timetracer_otel.debugging.counting import Place
from timetracer_otel.debugging.wishes import Wishes

PLACE = Place("0.1", 7, "/shop.py", 12, 2)


class Debuggee:
    """Takes note of what it is asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, dict[str, Any]]] = []

    def ask(self, command: str, **arguments: Any) -> Any:
        """Take a request."""
        self.asked.append((command, arguments))
        answer = asyncio.get_running_loop().create_future()
        answer.set_result({})
        return answer

    def lines(self) -> dict[str, list[dict[str, Any]]]:
        """The breakpoints by file, as they were set last."""
        return {
            arguments["source"]["path"]: arguments["breakpoints"]
            for command, arguments in self.asked
            if command == "setBreakpoints"
        }


def wishes(*lines: int) -> Wishes:
    """A client's, with breakpoints in one file."""
    made = Wishes()
    for command, arguments in (
        ("initialize", {"clientID": "vscode"}),
        ("attach", {"connect": {"port": 1}, "justMyCode": False}),
        ("setBreakpoints", {"source": {"path": "/shop.py"}, "breakpoints": [{"line": line} for line in lines]}),
        ("setExceptionBreakpoints", {"filters": ["userUnhandled"]}),
        ("configurationDone", {}),
    ):
        made.take({"command": command, "arguments": arguments})
    return made


def told(made: Wishes, stop: Place | None, *, everything: bool) -> Debuggee:
    """What a run is told."""
    debuggee: Any = Debuggee()

    async def main() -> None:
        await made.tell(debuggee, stop, everything=everything)

    asyncio.run(main())
    found: Debuggee = debuggee
    return found


def test_a_run_is_set_up_as_an_editor_would() -> None:
    """In the order of the protocol; what is about a process of the editor's own is left out."""
    debuggee = told(wishes(3), None, everything=True)
    assert [command for command, _ in debuggee.asked] == [
        "initialize", "attach", "setExceptionBreakpoints", "setBreakpoints", "configurationDone",
    ]  # fmt: skip
    attach = dict(debuggee.asked)["attach"]
    assert "connect" not in attach
    assert attach["justMyCode"] is False
    assert attach["rules"][-1]["include"] is False


def test_on_the_way_to_a_place_nothing_else_stops() -> None:
    """Neither breakpoints nor exceptions; there they are set again, and the place is given up."""
    made = wishes(3)
    debuggee = told(made, PLACE, everything=False)
    assert "setExceptionBreakpoints" not in dict(debuggee.asked)
    assert debuggee.lines() == {"/shop.py": [{"line": 12, "condition": PLACE.condition}]}
    there: Any = Debuggee()
    asyncio.run(made.restore(there, PLACE))
    assert there.lines() == {"/shop.py": [{"line": 3}]}


def test_a_place_goes_beside_the_breakpoints() -> None:
    """A breakpoint on the same line is left as it is."""
    assert [one["line"] for one in told(wishes(3), PLACE, everything=True).lines()["/shop.py"]] == [3, 12]
    assert told(wishes(12), PLACE, everything=True).lines()["/shop.py"] == [{"line": 12}]


def test_a_breakpoint_in_a_linked_folder_is_the_file_s_own(tmp_path: Path) -> None:
    """An editor may have opened the project by a link; Python names the file itself."""
    (tmp_path / "project").mkdir()
    (tmp_path / "linked").symlink_to(tmp_path / "project")
    made = Wishes()
    source = {"path": str(tmp_path / "linked" / "shop.py")}
    made.take({"command": "setBreakpoints", "arguments": {"source": source, "breakpoints": [{"line": 12}]}})
    for line, has_one in ((12, True), (13, False)):
        place = Place("", 7, str(tmp_path / "project" / "shop.py"), line, 1)
        assert made.has_breakpoint(place) is has_one
