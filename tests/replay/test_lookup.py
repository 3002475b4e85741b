"""What a lookup costs does not grow with what was recorded: counted in steps and in lanes read, not in seconds."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, SupportsIndex

import pytest

from tests.cli.conftest import Recording
from timetracer_otel import seams, spans
from timetracer_otel.cassette.model import Kind, Lane, Span
from timetracer_otel.cassette.shelf import Shelf
from timetracer_otel.families.kinds.http import Request
from timetracer_otel.replay.answering.entries import Entries
from timetracer_otel.replay.answering.matching import Matcher
from timetracer_otel.replay.answering.recorded_calls import Index, Recorded
from timetracer_otel.replay.answering.session import Player
from timetracer_otel.seams import Description, Integration

JSON = [("Content-Type", "application/json")]


class CountedList(list[Recorded]):
    """A list that counts what is taken from it; a slice counts once for each of its items."""

    steps = 0

    def __getitem__(self, place: SupportsIndex | slice) -> Any:
        """Count."""
        found = super().__getitem__(place)
        CountedList.steps += len(found) if isinstance(found, list) else 1
        return found


def calls(count: int) -> list[Recorded]:
    """Identical calls, one after the other."""
    asked = Description(("mongodb", "find"), b"shape", (), read=True)
    return [
        Recorded(Span("t", f"{number:016x}", None, "find", Kind.CLIENT, number, number, {}, {}), asked, lambda _: ())
        for number in range(count)
    ]


def test_the_last_of_many_identical_calls_takes_as_few_steps_as_the_first() -> None:
    """Each is answered by its own recorded call, in order, and what was used is not stepped over again."""
    recorded = calls(40_000)
    index = Index(recorded, brought=lambda _value: True)
    index.same |= {bucket: CountedList(alike) for bucket, alike in index.same.items()}
    matcher, answered, steps = Matcher(index, brought=lambda _value: True), [], []
    for call in recorded:
        CountedList.steps = 0
        match = matcher.match(call.description)
        assert match is not None
        answered.append(match.recorded.span.span_id)
        steps.append(CountedList.steps)
    assert answered == [call.span.span_id for call in recorded]
    assert max(steps[1:]) == steps[1] <= 3


class CountedDict(dict[Any, Any]):
    """A dict that counts how often somebody goes through it."""

    rounds = 0

    def __iter__(self) -> Iterator[Any]:
        """Count."""
        CountedDict.rounds += 1
        return super().__iter__()


def test_what_is_bound_is_not_gone_through_for_each_call() -> None:
    """Of calls that bring a fresh id each, every answer has all bindings until then, and none is a copy."""
    recorded = [with_value(call, b"\x07recorded%04d" % number) for number, call in enumerate(calls(2000))]
    matcher = Matcher(Index(recorded, brought=lambda _value: False), brought=lambda _value: False)
    matcher.to_live = CountedDict()
    matcher._bound = CountedDict()
    for number, call in enumerate(recorded):
        match = matcher.match(with_value(call, b"\x07live....%04d" % number).description)
        assert match is not None
        assert match.recorded is call
        assert len(matcher.bindings) == number + 1
    assert matcher.bindings[b"\x07recorded0007"] == b"\x07live....0007"
    assert CountedDict.rounds == 0


def with_value(call: Recorded, value: bytes) -> Recorded:
    """A call that asks with a value."""
    return replace(call, description=replace(call.description, values=(value,)))


def test_siblings_that_ask_alike_get_their_own_answers() -> None:
    """Of calls that differ in nothing but who asks, each branch gets its own, whichever comes first; then any."""
    recorded = [replace(call, branch=branch) for call, branch in zip(calls(4), ["0", "1", "2", ""], strict=True)]
    matcher = Matcher(Index(recorded, brought=lambda _value: True), brought=lambda _value: True)
    answered = [matcher.match(recorded[0].description, branch=branch) for branch in ("2", "", "0", "7")]
    assert [match and match.recorded.branch for match in answered] == ["2", "", "0", "1"]


class CountingShelf(Shelf):
    """Counts how often each lane is asked for."""

    asked: Counter[str]

    def lane(self, lane_id: str) -> Lane | None:
        """Count."""
        self.asked[lane_id] += 1
        return super().lane(lane_id)


def entries(folder: Path, bodies: list[bytes], **fields: Any) -> tuple[Entries, CountingShelf]:
    """Recorded requests to one target with these bodies; lane n has the nth."""
    files = []
    for number, body in enumerate(bodies, start=1):
        recording = Recording(number)
        recording.entry("POST", "/orders", request=body, headers=JSON, **fields)
        files.append(recording.write(folder / f"lane-{number}.jsonl"))
    shelf = CountingShelf.of(files)
    assert isinstance(shelf, CountingShelf)
    shelf.asked = Counter()
    return Entries(shelf, lambda _name: True), shelf


def followed(found: Entries, body: bytes, headers: list[tuple[str, str]] | None = None) -> int:
    """The number of the lane that a request with this body follows; 0 for none."""
    lane = found.choose(Request("POST", "/orders", headers or JSON, body=[body], complete=True)).lane
    return 0 if lane is None else int(lane.id, 16)


def test_a_new_body_reads_no_other_lane(tmp_path: Path) -> None:
    """However many different bodies come, every lane is read once to be sorted, and once more when it is followed."""
    bodies = [b'{"n": %d}' % number for number in range(300)]  # more than are held in memory
    found, shelf = entries(tmp_path, bodies)
    assert [followed(found, body) for body in bodies] == list(range(1, 301))
    assert max(shelf.asked[f"{number:032x}"] for number in range(1, 301)) <= 2


def test_json_that_is_written_otherwise_is_the_same(tmp_path: Path) -> None:
    """The order of members and white space say nothing; another value does."""
    found, _ = entries(tmp_path, [b'{"a": 1, "b": [1, 2]}', b'{"a": 2}'])
    assert followed(found, b'{"b":[1,2],"a":1}') == 1
    assert followed(found, b'{ "a" : 2 }') == 2
    assert followed(found, b'{"b":[2,1],"a":1}') == 0


@pytest.mark.parametrize("body", [b"{no json", b"[" * 600 + b"]" * 600, b"\xff\x00", b""])
def test_any_bytes_are_a_body(tmp_path: Path, body: bytes) -> None:
    """What looks like JSON and is none, what is nested too deeply, binary, nothing."""
    found, _ = entries(tmp_path, [body, b"other"])
    assert followed(found, body) == 1
    assert followed(found, body + b"!") == 0


def test_a_boundary_is_drawn_anew_each_time(tmp_path: Path) -> None:
    """Multipart bodies are the same under another boundary."""
    recording = Recording(1)
    headers = [("Content-Type", "multipart/form-data; boundary=aaaa")]
    recording.entry("POST", "/orders", request=b"--aaaa\r\n\r\nx\r\n--aaaa--\r\n", headers=headers)
    shelf = Shelf.of([recording.write(tmp_path / "lane.jsonl")])
    found = Entries(shelf, lambda _name: True)
    live = [("Content-Type", 'multipart/form-data; boundary="bb"')]
    assert followed(found, b"--bb\r\n\r\nx\r\n--bb--\r\n", live) == 1
    assert followed(found, b"--bb\r\n\r\ny\r\n--bb--\r\n", live) == 0


def test_bodies_that_the_app_did_not_read(tmp_path: Path) -> None:
    """Any body continues a beginning; such lanes are followed in turn, also when every body is another one."""
    unread = {"extra": {spans.INCOMPLETE: "request"}}
    found, shelf = entries(tmp_path, [b""] * 300, **unread)
    assert [followed(found, b"body %d" % number) for number in range(300)] == list(range(1, 301))
    assert max(shelf.asked[f"{number:032x}"] for number in range(1, 301)) <= 2


def test_a_whole_body_comes_before_beginnings(tmp_path: Path) -> None:
    """The longer the recorded part, the better; of equals the least followed."""
    folder, files = tmp_path, []
    for number, (body, incomplete) in enumerate([(b"", "request"), (b"ab", "request"), (b"abc", "")], start=1):
        recording = Recording(number)
        recording.entry("POST", "/orders", request=body, headers=JSON, extra={spans.INCOMPLETE: incomplete})
        files.append(recording.write(folder / f"lane-{number}.jsonl"))
    found = Entries(Shelf.of(files), lambda _name: True)
    assert [followed(found, b"abc") for _ in range(4)] == [3, 2, 1, 3]
    assert followed(found, b"x") == 1


def test_threads_that_ask_first_at_once_have_one_responder(monkeypatch: pytest.MonkeyPatch) -> None:
    """A connection takes another one for that of the next replay, and ends."""

    class Slow:
        """Settings that let the other threads come meanwhile."""

        live_plugins = ()
        pace = None

        @property
        def mock_plugins(self) -> tuple[str, ...]:
            time.sleep(0.02)
            return ()

    monkeypatch.setitem(seams.integrations, "made_up", Integration("made_up", ()))
    player: Any = SimpleNamespace(settings=Slow(), all_calls=(), _responders={})
    with ThreadPoolExecutor(3) as pool:
        first, *others = pool.map(lambda _: Player.responder(player, "made_up"), range(3))
    assert first is not None
    assert all(other is first for other in others)
