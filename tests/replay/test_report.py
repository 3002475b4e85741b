"""What the reports make of a verification."""

from __future__ import annotations

import json
import re
from xml.etree import ElementTree as ET

from timetracer_otel.replay import report
from timetracer_otel.replay.compare import ABSENT, FieldDifference
from timetracer_otel.replay.differing import Difference, Drawn, Result, Verified

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
    assert (suite.get("tests"), suite.get("failures")) == ("2", "2")


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
