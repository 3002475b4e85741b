"""What the reports make of a verification."""

from __future__ import annotations

import json
import re
from xml.etree import ElementTree as ET

from timetracer_otel.replay.comparing.differences import Difference, Drawn
from timetracer_otel.replay.comparing.results import Result, Verified
from timetracer_otel.replay.comparing.values import ABSENT, FieldDifference
from timetracer_otel.replay.verifying import report

HOSTILE = "</script><script>alert(1)</script>\x1b[2J\u2028\u202e&\"'\x00"


def verified(*differences: Difference, drawn: tuple[Drawn, ...] = (), name: str = "GET /") -> Verified:
    """A lane with these differences."""
    return Verified("1" * 32, name, "GET /", "one.jsonl", 0.01, differences, 2, drawn)


def hostile() -> Result:
    """A result in which every text is one that a page, a terminal or a parser may stumble over."""
    difference = Difference("body", HOSTILE, (FieldDifference(HOSTILE, HOSTILE, ABSENT),))
    one = verified(difference, drawn=(Drawn(HOSTILE, HOSTILE, HOSTILE, 2),), name=HOSTILE)
    return Result([one], problems=[HOSTILE], notes=[HOSTILE])


def test_page_holds_hostile_text_as_data() -> None:
    """No text of an app ends the page's script, and the data that the script reads is the JSON report."""
    page = report.as_html(hostile()).decode()
    assert page.lower().count("</script") == page.lower().count("<script") == 1
    found = re.search(r"^const report = (.*?);\n", page, re.MULTILINE | re.DOTALL)
    assert found is not None
    assert json.loads(found[1]) == json.loads(report.as_json(hostile()))


def test_page_needs_nothing_beside_it() -> None:
    """It names no address, and forbids itself to load anything."""
    page = report.as_html(Result()).decode()
    assert not re.search(r"https?:|//[a-z]", page)
    assert "default-src 'none'" in page


def test_terminal_shows_hostile_text_escaped() -> None:
    """No control character, and none that turns the direction of text, reaches the terminal."""
    told = report.as_text(hostile())
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", told)
    assert "\\x1b[2J" in told


def test_xml_of_hostile_text_can_be_read() -> None:
    """What no XML document may hold is replaced."""
    suite = ET.fromstring(report.as_junit(hostile()))[0]  # noqa: S314 - our own
    assert [suite.get(name) for name in ("tests", "failures", "errors")] == ["2", "1", "1"]


def test_server_that_never_started_is_one_error() -> None:
    """Requests that nobody took are told by their number, and are no differences."""
    result = Result(not_sent=["GET /a", "GET /b"], problems=["the command ended with status 3"])
    assert result.exit_status == 1
    told = report.as_text(result)
    assert "0 checked, 0 passed, 0 differ, 2 not sent" in told
    assert told.count("status 3") == 1
    suite = ET.fromstring(report.as_junit(result))[0]  # noqa: S314 - our own
    counts = [suite.get(name) for name in ("tests", "failures", "errors", "skipped")]
    assert counts == ["3", "0", "1", "2"]
    document = json.loads(report.as_json(result))
    assert (document["checked"], document["not_sent"], document["kinds"]) == (0, ["GET /a", "GET /b"], {})


def test_consequences_are_told_beneath_and_not_counted() -> None:
    """What followed from a difference is in every report, and only the difference itself is counted."""
    status = Difference("status", "", (FieldDifference("$", 200, 500),))
    result = Result([verified(Difference("changed", "insert orders", consequences=(status,)))])
    assert "1 checked, 0 passed, 1 differ (1 changed);" in report.as_text(result)
    assert "  changed insert orders\n    from it followed: status: $: 200 recorded, 500 now" in report.as_text(result)
    failure = ET.fromstring(report.as_junit(result))[0][0][0]  # noqa: S314 - our own
    assert "from it followed: status" in (failure.text or "")
    (one,) = json.loads(report.as_json(result))["verified"][0]["differences"]
    assert [inner["kind"] for inner in one["consequences"]] == ["status"]


def test_lane_that_nothing_drove_is_not_checked() -> None:
    """It fails the verification under a word of its own."""
    lost = Verified("2" * 32, "orders process", "orders process", "f", 0.0, (Difference("error", "why"),), driven=False)
    result = Result([verified(), lost])
    assert result.exit_status == 1
    assert "NOT DRIVEN orders process" in report.as_text(result)
    assert "1 checked, 1 passed, 0 differ, 1 not driven" in report.as_text(result)


def test_warning_beside_a_difference_is_called_one() -> None:
    """Among the differences of a request that fails, what only warns is told apart."""
    told = report.as_text(Result([verified(Difference("status", ""), Difference("missing", "find", warning=True))]))
    assert "  status\n  warning: missing find\n" in told


def test_values_drawn_anew_are_told_where_something_differs() -> None:
    """Of a request that matches, only their number is told."""
    drawn = (Drawn("uuid4", "shop", "key = uuid4()", 2),)
    told = report.as_text(Result([verified(Difference("status", ""), drawn=drawn), verified(drawn=drawn)]))
    assert told.count("drawn anew, not recorded: uuid4 in shop: key = uuid4() (2 times)") == 1
    assert "4 values drawn anew" in told
