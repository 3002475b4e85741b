"""How draws are addressed and written down: any value comes back, any order finds its own."""

from __future__ import annotations

import linecache
import random
import sys
import time
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from types import ModuleType
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from timetracer_otel.errors import CassetteError
from timetracer_otel.nondeterminism import Given, Index, sites
from timetracer_otel.nondeterminism.kinds import KINDS, Kind, NotFit
from timetracer_otel.nondeterminism.recorded import NO_MORE
from timetracer_otel.nondeterminism.sites import Site

GROUPS = sorted({kind.group for kind in KINDS.values()})
BRANCHES = st.sampled_from(["", "0", "1", "0.0"])


def payload(draws: list[tuple[str, Site, str, Any]], first: int = 0) -> bytes:
    """A payload as a recording writes it."""
    known = list(dict.fromkeys(site for _, site, _, _ in draws))
    numbered = [(kind, known.index(site), branch, value) for kind, site, branch, value in draws]
    return orjson.dumps({"first": first, "groups": GROUPS, "sites": known, "draws": numbered})


def giving(*payloads: bytes, ahead: float = 0.0) -> tuple[Given, list[str]]:
    """What a lane is given, and the list of kinds that it will be told were fresh."""
    fresh: list[str] = []
    index = Index.of([payloads])
    assert index is not None
    return Given(index, ahead, lambda kind, _site, _value: fresh.append(kind.name)), fresh


def take(lane: Given, kind: Kind, site: Site, branch: str) -> list[Any]:
    """The next recorded draw, in a list."""
    value = lane.take(lane.cursor(kind, site), branch)
    return [] if value is NO_MORE else [value]


@given(st.lists(st.tuples(BRANCHES, st.integers()), max_size=30), st.randoms())
def test_branches_may_run_in_any_order(draws: list[tuple[str, int]], order: random.Random) -> None:
    """Each branch is given its own values in its own order, however the branches take turns."""
    site = ("somewhere", "x = uuid4()")
    lane, _ = giving(payload([("uuid.uuid4", site, branch, value % 2**32) for branch, value in draws]))
    expected: dict[str, list[int]] = {}
    for branch, value in draws:
        expected.setdefault(branch, []).append(value % 2**32)
    turns = [branch for branch, _ in draws]
    order.shuffle(turns)
    found: dict[str, list[int]] = {}
    for branch in turns:
        found.setdefault(branch, []).extend(take(lane, KINDS["uuid.uuid4"], site, branch))
    assert found == expected
    assert all(take(lane, KINDS["uuid.uuid4"], site, branch) == [] for branch in expected)


@given(st.lists(st.tuples(BRANCHES, st.integers(0, 99)), max_size=20))
def test_an_unknown_branch_gets_the_next_of_any(draws: list[tuple[str, int]]) -> None:
    """Where the code's branches are others now, one recorded branch after the other is given, each value once."""
    site = ("somewhere", "x = randrange(9)")
    lane, _ = giving(payload([("random.randrange", site, branch, value) for branch, value in draws]))
    kind = KINDS["random.randrange"]
    found = [value for number in range(len(draws) + 1) for value in take(lane, kind, site, f"7.{number}")]
    by_branch = {branch: [value for one, value in draws if one == branch] for branch, _ in draws}
    assert found == [value for values in by_branch.values() for value in values]


@given(st.permutations(range(4)))
def test_payloads_are_joined_by_their_number(order: list[int]) -> None:
    """A lane whose draws were written in several spans has them in their order, whichever span comes first."""
    site = ("somewhere", "x = uuid4()")
    parts = [payload([("uuid.uuid4", site, "", number)], first=number) for number in range(4)]
    lane, _ = giving(*(parts[number] for number in order))
    assert [take(lane, KINDS["uuid.uuid4"], site, "") for _ in range(4)] == [[0], [1], [2], [3]]


def test_a_damaged_payload_is_an_error() -> None:
    """What is no payload of ours is refused, with what to do about it."""
    for damaged in (b"[]", b"{", b'{"first":0,"groups":[],"sites":[],"draws":[["a",3,"",1]]}'):
        with pytest.raises(CassetteError, match="record it again"):
            Index.of([[damaged]])


def test_no_payload_is_no_recording() -> None:
    """A lane that was recorded without draws has none to give; one that drew nothing has."""
    assert Index.of([]) is None
    assert Index.of([[], []]) is None
    assert Index.of([[payload([])]]) is not None


MOMENTS = st.datetimes(timezones=st.sampled_from([None, UTC]))


@given(MOMENTS)
def test_moments_come_back(moment: datetime) -> None:
    """A moment is the recorded wall time in the zone that the live call names, with its fold."""
    kind = KINDS["datetime.now"]
    assert kind.load(orjson.loads(orjson.dumps(kind.dump(moment))), (datetime, moment.tzinfo), {}) == moment


@given(st.dates())
def test_days_come_back(day: date) -> None:
    """Days come back as such, and no moment is made of one."""
    kind = KINDS["date.today"]
    written = orjson.loads(orjson.dumps(kind.dump(day)))
    assert kind.load(written, (date,), {}) == day
    with pytest.raises(NotFit):
        kind.load(written, (datetime,), {})


@given(st.one_of(st.integers(), st.floats(allow_nan=False, allow_infinity=False)))
def test_numbers_come_back(number: float) -> None:
    """Integers of any size and floats to the last bit, of the same type."""
    kind = KINDS["random.getrandbits"]
    back = kind.load(orjson.loads(orjson.dumps(kind.dump(number))), (), {})
    assert (type(back), back) == (type(number), number)


@given(st.binary(max_size=40))
def test_bytes_come_back(data: bytes) -> None:
    """Bytes come back, but not for a call that asks for another length."""
    kind = KINDS["os.urandom"]
    written = orjson.loads(orjson.dumps(kind.dump(data)))
    assert kind.load(written, (len(data),), {}) == data
    with pytest.raises(NotFit):
        kind.load(written, (len(data) + 1,), {})


@given(st.lists(st.integers(-1, 12), max_size=4), st.integers(0, 12))
def test_places_must_exist(places: list[int], length: int) -> None:
    """Places are given back where the live sequence has them all."""
    kind = KINDS["random.choices"]
    if all(0 <= place < length for place in places):
        assert kind.load(places, (None, range(length)), {}) == places
    else:
        with pytest.raises(NotFit):
            kind.load(places, (None, range(length)), {})


def new(lane: Given, name: str, sample: Callable[..., Any], *args: Any) -> Any:
    """A draw that the recording does not have."""
    return lane.new(KINDS[name], ("somewhere", "new"), sample, args, {})


def test_clocks_go_on_from_the_recorded_time() -> None:
    """A reading that was not recorded is as much later than the recorded ones as time has passed."""
    day = 86400.0
    site = ("somewhere", "x")
    lane, fresh = giving(payload([("time.monotonic", site, "", 1000.0)]), ahead=-10 * day)
    assert abs(new(lane, "time.time", time.time) - (time.time() - 10 * day)) < 60
    assert abs(new(lane, "time.time_ns", time.time_ns) / 1e9 - (time.time() - 10 * day)) < 60
    now = new(lane, "datetime.now", lambda cls: cls.now(UTC), datetime)
    assert abs(now - (datetime.now(UTC) - timedelta(days=10))) < timedelta(minutes=1)
    today = new(lane, "date.today", None, date)  # type: ignore[arg-type] # a day is not sampled
    assert abs((date.fromtimestamp(time.time() - 10 * day) - today).days) <= 1  # noqa: DTZ012 - local, as today is
    assert 1000 <= new(lane, "time.monotonic", time.monotonic) < 1060
    assert new(lane, "time.gmtime", time.gmtime) <= time.gmtime(time.time() - 10 * day)
    assert new(lane, "time.strftime", time.strftime, "%Y") == time.strftime("%Y", time.gmtime(time.time() - 10 * day))
    assert len(fresh) == 7


def test_what_was_not_recorded_is_no_fresh_draw() -> None:
    """Kinds whose group was off while recording are live, and nothing is said about them."""
    index = Index.of([[orjson.dumps({"first": 0, "groups": ["uuid"], "sites": [], "draws": []})]])
    assert index is not None
    fresh: list[str] = []
    lane = Given(index, -1e9, lambda kind, _site, _value: fresh.append(kind.name))
    assert new(lane, "time.time", lambda: 5.0) == 5.0
    new(lane, "uuid.uuid4", lambda: None)
    assert fresh == ["uuid.uuid4"]


SOURCE = """
from random import random
from uuid import uuid4

def one(flag=uuid4()):
    # a comment
    a = [uuid4()
         for _ in range(2)]
    if uuid4().int and flag:
        b = "text",  uuid4()
    with open(str(uuid4()), "w") if not flag else flag:
        pass
    match uuid4():
        case _:
            c = uuid4(); d = uuid4()
    return lambda: uuid4()
"""


def program(folder: Path, text: str) -> ModuleType:
    """A module of that text, loaded."""
    file = folder / "program.py"
    file.write_text(text)
    linecache.checkcache(str(file))
    module = ModuleType("program")
    module.__file__ = str(file)
    exec(compile(text, str(file), "exec"), vars(module))  # noqa: S102 - the text above
    return module


def texts(module: ModuleType, *calls: Callable[[ModuleType], Any]) -> list[str]:
    """The statements that draw, in order."""
    found: list[str] = []

    def note() -> Any:
        frame = sys._getframe(1)
        found.append(sites.of(frame.f_code, frame.f_lasti, "program")[1])
        return type("Drawn", (), {"int": 1})()

    vars(module)["uuid4"] = note
    for call in calls:
        call(module)
    return found


class Entered:
    """A context manager."""

    def __enter__(self) -> None: ...
    def __exit__(self, *_: object) -> None: ...


def test_a_site_is_the_innermost_statement(tmp_path: Path) -> None:
    """Its text has no comments and no layout; of a compound statement only the head counts."""
    found = texts(program(tmp_path, SOURCE), lambda module: module.one(Entered())())
    assert found == [
        "a = [uuid4() for _ in range(2)]",
        "a = [uuid4() for _ in range(2)]",
        "if uuid4().int and flag:",
        "b = ('', uuid4())",
        "match uuid4():",
        "c = uuid4()",
        "d = uuid4()",
        "return lambda: uuid4()",
    ]


def test_a_site_does_not_change_with_lines_and_names(tmp_path: Path) -> None:
    """Moved lines, other comments and another function name give the same sites."""
    (tmp_path / "b").mkdir()
    moved = "# first\n\n" + SOURCE.replace("def one", "def another_name").replace("# a comment", "print(end='')\n")
    before = texts(program(tmp_path, SOURCE), lambda module: module.one(Entered())())
    after = texts(program(tmp_path / "b", moved), lambda module: module.another_name(Entered())())
    assert after == before


def test_a_changed_statement_gets_the_values_of_the_one_that_is_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A new statement takes what one drew that the program no longer has; never what an unchanged one drew."""
    module = program(tmp_path, "from uuid import uuid4\nkept = uuid4()\nrenamed = uuid4()\n")
    monkeypatch.setitem(sys.modules, "program", module)
    draws: list[tuple[str, Site, str, Any]] = [
        ("uuid.uuid4", ("program", "kept = uuid4()"), "", "1"),
        ("uuid.uuid4", ("program", "old_name = uuid4()"), "", "2"),
    ]
    lane, _ = giving(payload(draws))
    kind = KINDS["uuid.uuid4"]
    assert take(lane, kind, ("program", "renamed = uuid4()"), "") == ["2"]
    assert take(lane, kind, ("program", "extra = uuid4()"), "") == []
    assert take(lane, kind, ("program", "kept = uuid4()"), "") == ["1"]


@pytest.mark.parametrize("imported", [False, True])
def test_a_copy_under_another_name_draws_what_the_original_drew(
    imported: bool,  # noqa: FBT001 - a parameter of the test
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A statement of a module that only lies about counts as moved; one of a module that this program runs does not."""
    (tmp_path / "original.py").write_text("x = uuid4()\n")
    monkeypatch.syspath_prepend(tmp_path)
    if imported:
        module = ModuleType("original")
        module.__file__ = str(tmp_path / "original.py")
        monkeypatch.setitem(sys.modules, "original", module)
    recorded = "00" * 16
    lane, _ = giving(payload([("uuid.uuid4", ("original", "x = uuid4()"), "", recorded)]))
    assert take(lane, KINDS["uuid.uuid4"], ("copy_of_it", "x = uuid4()"), "") == ([] if imported else [recorded])
