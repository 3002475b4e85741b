"""A fix is followed to the end of what it changes, and becomes what is expected."""

from __future__ import annotations

import io
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import orjson
import pytest

from examples.asking import Ask
from examples.support import Program, free_port
from tests.replay.test_scripts import REPLAY
from tests.replay.test_verify_command import environment
from timetracer_otel import spans
from timetracer_otel.cassette.loading import load_alone
from timetracer_otel.cassette.model import Kind, Lane, Span
from timetracer_otel.cassette.replacing import replace_lanes
from timetracer_otel.cassette.storage import find
from timetracer_otel.nondeterminism import Index
from timetracer_otel.replay.accepting.asking import Questions
from timetracer_otel.replay.accepting.new_spans import rewritten
from timetracer_otel.replay.comparing.differences import Difference
from timetracer_otel.replay.comparing.results import Verified
from timetracer_otel.replay.comparing.seen import Seen
from timetracer_otel.replay.comparing.values import FieldDifference

HERE = Path(__file__).parent
SERVED = ("flask", "--app", "followed_app", "run", "--port")
TRACE, ENTRY = "1" * 32, "e" * 16
SCRIPT = ("python", "followed_app.py")


# --- whole: an app and a script, recorded, changed, accepted ---


class Followed:
    """A recorded program, verified old and fixed.

    Args:
        folder: an empty one.
        command: that verifies it.
    """

    def __init__(self, folder: Path, command: tuple[str, ...]) -> None:
        self.folder = folder
        self.command = command
        self.cassettes = folder / "cassettes"
        self.settings = {"TIMETRACER_DIR": str(self.cassettes), "DATABASE": str(folder / "orders.db")}

    def verify(self, *options: str, fixed: bool = True, stdin: str = "", fix: str = "FIXED") -> tuple[int, str]:
        """Verify; give the exit status and what was said."""
        words = [*REPLAY, "--verify", str(self.cassettes), *options, "--", *self.command]
        env = environment(**self.settings, **({fix: "1"} if fixed else {}))
        done = subprocess.run(
            words, cwd=HERE, env=env, input=stdin, capture_output=True, text=True, timeout=120, check=False
        )
        return done.returncode, done.stdout + done.stderr


@pytest.fixture
def served(request: pytest.FixtureRequest, tmp_path: Path) -> Followed:
    """The app, recorded with one request, or with those of other quantities."""
    followed, port = Followed(tmp_path, (*SERVED, "0")), free_port()
    command = ["opentelemetry-instrument", "--traces_exporter", "timetracer", *SERVED, str(port)]
    with Program(command, log=tmp_path / "log", env=environment(**followed.settings), cwd=HERE) as program:
        program.wait_for_port(port)
        for quantity in getattr(request, "param", [2]):
            Ask("POST", "/orders", {"quantity": quantity}).send(port)
    (tmp_path / "orders.db").unlink()
    return followed


@pytest.fixture
def script(tmp_path: Path) -> Followed:
    """The script, recorded once."""
    followed = Followed(tmp_path, SCRIPT)
    command = ["opentelemetry-instrument", "--traces_exporter", "timetracer", *SCRIPT]
    subprocess.run(command, cwd=HERE, env=environment(**followed.settings), check=True, timeout=60)
    (tmp_path / "orders.db").unlink()
    return followed


@pytest.mark.system
def test_a_fix_becomes_what_is_expected(served: Followed) -> None:
    """The fix ends with what is assumed marked; accepted, it passes and the old code fails."""
    assert served.verify(fixed=False)[0] == 0
    status, told = served.verify("--accept")
    assert status == 1
    assert "not accepted" in told, told
    assert "--on-miss nearest" in told
    report = served.folder / "report.json"
    status, told = served.verify("--on-miss", "nearest", "--report", str(report))
    assert status == 1
    found = orjson.loads(report.read_bytes())
    assert (found["assumed"], found["verified"][0]["assumed"]) == (3, 3)
    assert all(one["assumed"] for one in found["verified"][0]["differences"])
    status, told = served.verify("--on-miss", "nearest", "--accept")
    assert status == 0, told
    assert len(list(served.cassettes.rglob("POST__*.jsonl.old"))) == 1
    status, told = served.verify()
    assert status == 0, told
    status, told = served.verify(fixed=False)
    assert status == 1
    assert "24 recorded, 20 now" in told


@pytest.mark.system
@pytest.mark.parametrize("served", [[2, -3]], indirect=True)
def test_a_request_that_failed_before_it_asked_anything_goes_on_with_what_others_were_answered(
    served: Followed,
) -> None:
    """The first order is written by both; the second had failed, and becomes one that ends."""
    report = served.folder / "report.json"
    status, told = served.verify("--on-miss", "nearest", "--report", str(report), fix="MENDED")
    assert status == 1, told
    lanes = orjson.loads(report.read_bytes())["verified"]
    assert [one["assumed"] for one in lanes if one["differences"]] == [3], lanes
    assert served.verify("--on-miss", "nearest", "--accept", fix="MENDED")[0] == 0
    status, told = served.verify(fix="MENDED")
    assert status == 0, told
    assert served.verify(fixed=False)[0] == 1


@pytest.mark.system
def test_a_fixed_script_becomes_what_is_expected(script: Followed) -> None:
    """Likewise its calls, what it prints and its exit status; asked for each, what is declined still differs."""
    status, told = script.verify("--on-miss", "nearest", "--accept", "--interactive", stdin="n\nquit\n")
    assert status == 1
    assert list(script.cassettes.rglob("*.old")) == []
    status, told = script.verify("--on-miss", "nearest", "--accept", "--interactive", stdin="perhaps\ny\nall\n")
    assert status == 0, told
    status, told = script.verify()
    assert status == 0, told
    status, told = script.verify(fixed=False)
    assert status == 1
    assert "12 recorded, 10 now" in told


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--accept"], "--accept goes with --verify"),
        (["--verify", "--interactive"], "--interactive goes with --accept"),
        (["--verify", "--learn", "--accept"], "choose one"),
        (["--on-miss", "perhaps"], "perhaps"),
    ],
)
def test_what_makes_no_sense_is_said(
    options: list[str], said: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A wrong combination is one line and exit status 2."""
    from timetracer_otel.replay import launcher  # noqa: PLC0415 - the command, in this process

    monkeypatch.setattr(sys, "argv", ["timetracer-replay", "cassettes", *options, "--", "python", "-V"])
    with pytest.raises(SystemExit) as ended:
        launcher.run()
    assert ended.value.code == 2
    assert said in capsys.readouterr().err


# --- parts ---


def call(number: int, **attributes: Any) -> Span:
    """A recorded call of the lane."""
    told = {spans.LANE_ID: "lane", **spans.encode_payload(spans.REQUEST, b"then"), **attributes}
    return Span(TRACE, f"{number:016x}", ENTRY, "insert", Kind.CLIENT, number * 10, number * 10 + 5, told, {})


def lane(*calls: Span, **attributes: Any) -> Lane:
    """A recorded request."""
    told = {
        spans.LANE_ID: "lane",
        spans.HTTP_METHOD: "GET",
        spans.HTTP_TARGET: "/",
        spans.HTTP_STATUS: 200,
        **spans.encode_headers(spans.HTTP_RESPONSE_HEADERS, [("A", "then"), ("B", "then"), ("Content-Length", "4")]),
        **spans.encode_payload(spans.HTTP_RESPONSE_BODY, b"then"),
        **attributes,
    }
    entry = Span(TRACE, ENTRY, None, "GET /", Kind.SERVER, 1, 90, told, {})
    return Lane("lane", None, [entry, *calls])


def answered(span: Span, number: int, how: str = "exact", **facts: Any) -> dict[str, Any]:
    """The note of an answer."""
    return {"span": span.span_id, "number": number, "how": how, **facts}


def accepted(recorded: Lane, seen: Seen, *differences: Difference, declined: tuple[Difference, ...] = ()) -> list[Span]:
    """The lane when differences are accepted."""
    by_id = {span.span_id: span for span in recorded.spans}
    return rewritten([recorded], seen, differences, declined, by_id.get)["lane"]


def test_a_changed_call_asks_what_it_asks_now_and_is_told_what_it_was() -> None:
    """The request is the live one; answer and place stay, but for ids that the answer had."""
    mine = b"\x07" + bytes.fromhex("0123456789abcdef01234567")
    theirs = b"\x07" + bytes.fromhex("fedcba9876543210fedcba98")
    one = call(1, **spans.encode_payload(spans.RESPONSE, b'{"id": "0123456789abcdef01234567"}'))
    request = spans.encode_payload(spans.REQUEST, b"now")
    note = answered(one, 7, "nearest", request=request, bound={mine.hex(): theirs.hex()})
    new = accepted(lane(one), Seen([note], []), Difference("changed", "insert", span=one.span_id, note=7))
    assert new[1].payload(spans.REQUEST) == b"now"
    assert new[1].payload(spans.RESPONSE) == b'{"id": "fedcba9876543210fedcba98"}'
    assert (new[1].span_id, new[1].start) == (one.span_id, one.start)
    assert one.payload(spans.REQUEST) == b"then"


def test_ids_in_a_binary_answer_are_those_of_the_live_run() -> None:
    """A value of a binary format is exchanged where it is as long as the other one."""
    mine, theirs = bytes([7, *range(240, 252)]), bytes([7, *range(200, 212)])
    one = call(1, **spans.encode_binary(spans.RESPONSE, b"\xff\x00" + mine[1:] + b"\xff"))
    note = answered(one, 7, "shape", request={}, bound={mine.hex(): theirs.hex()})
    new = accepted(lane(one), Seen([note], []), Difference("changed", "insert", span=one.span_id, note=7))
    assert new[1].payload(spans.RESPONSE) == b"\xff\x00" + theirs[1:] + b"\xff"


def test_calls_go_and_come() -> None:
    """One that is not asked any more is left out, one that is asked once more stands behind the call before it."""
    one, two, three = call(1), call(2), call(3)
    notes = [answered(one, 1), answered(one, 2, "repeated"), answered(three, 3)]
    gone, more = Difference("missing", "find", span=two.span_id), Difference("extra", "find", span=one.span_id, note=2)
    new = accepted(lane(one, two, three), Seen(notes, []), gone, more)
    assert [span.span_id for span in new] == [ENTRY, one.span_id, new[2].span_id, three.span_id]
    assert new[2].span_id not in {one.span_id, two.span_id}
    assert one.end < new[2].start


def test_another_order_is_kept() -> None:
    """Calls that came one after the other stand in the order of the live run."""
    one, two = call(1), call(2)
    notes = [answered(two, 1), answered(one, 2)]
    new = accepted(lane(one, two), Seen(notes, []), Difference("reordered", "insert before insert", span=two.span_id))
    assert [span.span_id for span in new[1:]] == [two.span_id, one.span_id]
    assert new[1].end < new[2].start


def test_what_is_declined_stays() -> None:
    """Of two calls that differ, the one that is declined asks what was recorded."""
    one, two = call(1), call(2)
    request = spans.encode_payload(spans.REQUEST, b"now")
    notes = [answered(one, 1, "nearest", request=request), answered(two, 2, "nearest", request=request)]
    first, second = (
        Difference("changed", "insert", span=span.span_id, note=number) for number, span in ((1, one), (2, two))
    )
    new = accepted(lane(one, two), Seen(notes, []), second, declined=(first,))
    assert [span.payload(spans.REQUEST) for span in new[1:]] == [b"then", b"now"]


LIVE: Mapping[str, Any] = {
    spans.HTTP_STATUS: 500,
    **spans.encode_headers(spans.HTTP_RESPONSE_HEADERS, [("A", "now"), ("B", "now"), ("Content-Length", "3")]),
    **spans.encode_payload(spans.HTTP_RESPONSE_BODY, b"now"),
}


@pytest.mark.parametrize(
    ("kinds", "status", "headers", "body"),
    [
        (["status"], 500, {"A": "then", "B": "then", "Content-Length": "4"}, b"then"),
        (["header"], 200, {"A": "now", "B": "then", "Content-Length": "4"}, b"then"),
        (["body"], 200, {"A": "then", "B": "then", "Content-Length": "3"}, b"now"),
    ],
)
def test_each_part_of_a_response_by_itself(kinds: list[str], status: int, headers: dict[str, str], body: bytes) -> None:
    """What is accepted of a response is as it is now, the rest as it was."""
    differences = [Difference(kind, "a" if kind == "header" else "") for kind in kinds]  # type: ignore[arg-type]  # they are literals above
    entry = accepted(lane(), Seen([], [], entry=LIVE), *differences)[0]
    assert entry.attributes[spans.HTTP_STATUS] == status
    assert dict(spans.decode_headers(entry.attributes, spans.HTTP_RESPONSE_HEADERS)) == headers
    assert entry.payload(spans.HTTP_RESPONSE_BODY) == body
    assert entry.status_code == (2 if status == 500 else 0)


def test_a_response_in_the_place_of_an_exception() -> None:
    """Where the app raised and now answers, all of the answer is taken; where it raises now, nothing is left of one."""
    raised = {spans.ERROR: "{}", spans.HTTP_STATUS: 500}
    ended = lane(**raised)
    entry = ended.spans[0]
    for name in [name for name in entry.attributes if "response" in name and name != spans.HTTP_STATUS]:
        del entry.attributes[name]
    answer = {**LIVE, spans.HTTP_STATUS: 200}
    new = accepted(ended, Seen([], [], entry=answer), Difference("status", ""))[0]
    assert new.payload(spans.HTTP_RESPONSE_BODY) == b"now"
    assert (new.attributes[spans.HTTP_STATUS], spans.ERROR in new.attributes) == (200, False)
    gone = accepted(lane(), Seen([], [], entry={spans.ERROR: "{}"}), Difference("status", ""))[0]
    assert gone.attributes[spans.ERROR] == "{}"
    assert [name for name in gone.attributes if "response" in name] == []


def test_what_is_drawn_anew_is_recorded() -> None:
    """A draw that the recording did not have is given back by the new one."""
    site = ("app", "name = uuid4()")
    note = {"lane": "lane", "kind": "uuid.uuid4", "site": site, "branch": "", "value": "00" * 16}
    new = accepted(lane(), Seen([], [note], entry=LIVE), Difference("body", ""))
    index = Index.of([[data for span in new if (data := span.payload(spans.DRAWS))]])
    assert index is not None
    assert ("uuid.uuid4", site) in index.by_site


def test_other_lanes_of_a_file_stay_as_they_are(tmp_path: Path) -> None:
    """Only the lane is exchanged; the file as it was is kept, each time under a name of its own, and not read."""
    file = tmp_path / "several.jsonl"
    other = Span(
        TRACE, "f" * 16, None, "GET /other", Kind.SERVER, 5, 6, {spans.LANE_ID: "other"}, {"service.name": "s"}
    )
    file.write_bytes(b"")
    replace_lanes(file, {"lane": lane(call(1)).spans, "other": [other]})
    before = file.read_bytes()
    old = replace_lanes(file, {"lane": lane(call(1), call(2)).spans})
    assert (old.name, old.read_bytes()) == ("several.jsonl.2.old", before)
    loaded = load_alone(find([str(tmp_path)], tmp_path))
    assert loaded.files == [file]
    assert {one.id: len(one.spans) for one in loaded.lanes} == {"lane": 3, "other": 1}
    assert loaded.lanes[1].spans[0].resource == {"service.name": "s"}
    assert find([str(old)], tmp_path) == [old]


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], list[bool]]:
    """Ask for three differences of two lanes; give what is accepted."""

    def ask(typed: str) -> list[bool]:
        monkeypatch.setattr(sys, "stdin", io.StringIO(typed))
        questions = Questions()
        field = FieldDifference("$.total", 20, 24)
        lanes = [Verified(name, name, name, "", 0.0, ()) for name in ("one", "one", "two")]
        return [questions.ask(one, Difference("changed", "insert", (field,))) for one in lanes]

    return ask


@pytest.mark.parametrize(
    ("typed", "given"),
    [
        ("y\nn\ny\n", [True, False, True]),
        ("n\nall\n", [False, True, True]),
        ("what?\nyes\nquit\n", [True, False, False]),
        ("y\n", [True, False, False]),
        ("", [False, False, False]),
    ],
)
def test_answers(asked: Callable[[str], list[bool]], typed: str, given: list[bool]) -> None:
    """Each difference by itself, all that follow, or none; what is no answer is asked again."""
    assert asked(typed) == given
