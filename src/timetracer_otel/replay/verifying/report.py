"""A verification told: in a terminal, as JSON, as JUnit XML, as one HTML page."""

from __future__ import annotations

import re
from collections.abc import Iterator
from importlib import resources
from pathlib import Path
from typing import Final
from xml.etree import ElementTree as ET

import orjson

from timetracer_otel.errors import ConfigError
from timetracer_otel.replay.comparing.differences import Difference
from timetracer_otel.replay.comparing.results import Result, Verified

__all__ = ["as_html", "as_json", "as_junit", "as_text", "write"]

_SHOWN_LANES: Final = 10
_SHOWN_DIFFERENCES: Final = 8
_SHOWN_CONSEQUENCES: Final = 4
_SHOWN_DRAWS: Final = 3
_NOT_XML: Final = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""Characters that no XML document may hold (XML 1.0, section 2.2)."""
_CONTROLS: Final = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
_DATA: Final = "/*DATA*/null"
"""Where the page's template takes the report."""


def as_text(result: Result) -> str:
    """Write the summary with the first differences, for people.

    Args:
        result: the verification.
    """
    return "\n".join(_CONTROLS.sub(_escape, line) for line in _lines(result))


def _escape(found: re.Match[str]) -> str:
    return found[0].encode("unicode_escape").decode("ascii")


def _lines(result: Result) -> Iterator[str]:
    differing = result.differing
    for one in differing[:_SHOWN_LANES]:
        yield f"{'DIFFERS' if one.driven else 'NOT DRIVEN'} {one.name} (lane {one.lane})"
        yield from _differences(one)
        yield from (f"  drawn anew, not recorded: {drawn}" for drawn in one.drawn[:_SHOWN_DRAWS])
    if len(differing) > _SHOWN_LANES:
        yield f"… and {len(differing) - _SHOWN_LANES} more that differ"
    for one in result.verified:
        if one.matched and one.differences:
            yield f"warning {one.name} (lane {one.lane})"
            yield from _differences(one)
    yield from (f"problem: {problem}" for problem in result.problems)
    yield from (f"note: {note}" for note in result.notes)
    yield _summary(result)


def _differences(one: Verified) -> Iterator[str]:
    for difference in one.differences[:_SHOWN_DIFFERENCES]:
        yield f"  {'warning: ' if difference.warning else ''}{_marked(difference)}"
        yield from _consequences(difference)
    if len(one.differences) > _SHOWN_DIFFERENCES:
        yield f"  … and {len(one.differences) - _SHOWN_DIFFERENCES} more"


def _marked(difference: Difference) -> str:
    """A difference, and whether it rests on an answer to a call that asked something else."""
    return f"{difference}{' (assumed)' if difference.assumed else ''}"


def _consequences(difference: Difference) -> Iterator[str]:
    yield from (f"    from it followed: {_marked(one)}" for one in difference.consequences[:_SHOWN_CONSEQUENCES])
    if (more := len(difference.consequences) - _SHOWN_CONSEQUENCES) > 0:
        yield f"    … and {more} more"


def _summary(result: Result) -> str:
    calls = sum(one.calls for one in result.verified)
    kinds = ", ".join(f"{count} {kind}" for kind, count in result.kinds.most_common())
    rate = f", {result.checked / result.sending:.0f} requests/s" if result.sending else ""
    counts = [f"{result.checked} checked", f"{result.passed} passed"]
    counts.append(f"{result.checked - result.passed} differ{f' ({kinds})' if kinds else ''}")
    for count, what in (
        (result.undriven, "not driven"),
        (len(result.not_sent), "not sent"),
        (result.ignored, "ignored"),
        (result.assumed, "assumed"),
    ):
        counts += [f"{count} {what}"] if count else []
    drawn = f", {result.drawn} {'value' if result.drawn == 1 else 'values'} drawn anew" if result.drawn else ""
    told = f"{', '.join(counts)}; {calls} calls answered{drawn}; {result.seconds:.1f} s{rate}"
    return f"timetracer verify: {told}"


def as_json(result: Result) -> bytes:
    """Write everything, for programs.

    Args:
        result: the verification.
    """
    return orjson.dumps(
        result.as_json(), default=str, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE | orjson.OPT_NON_STR_KEYS
    )


def as_junit(result: Result) -> bytes:
    """Write JUnit XML as CI systems read it: a test case a request.

    Args:
        result: the verification.
    """
    total = len(result.verified) + len(result.not_sent) + len(result.problems)
    counts = {"tests": total, "failures": len(result.differing), "errors": len(result.problems)}
    counts["skipped"] = len(result.not_sent)
    facts = {"name": "timetracer verify", **{name: str(count) for name, count in counts.items()}}
    suite = ET.Element("testsuite", {**facts, "time": f"{result.seconds:.3f}"})
    for one in result.verified:
        where = {"classname": one.operation, "name": f"{one.name} {one.lane[:8]}", "time": f"{one.seconds:.6f}"}
        case = ET.SubElement(suite, "testcase", {name: _xml(value) for name, value in where.items()})
        if not one.matched:
            told = [line for difference in one.differences if not difference.warning for line in _told(difference)]
            failure = ET.SubElement(case, "failure", {"message": _xml(told[0]), "type": one.differences[0].kind})
            failure.text = _xml("\n".join([*told, f"cassette: {one.file}"]))
    for problem in result.problems:
        case = ET.SubElement(suite, "testcase", {"classname": "timetracer", "name": "the command"})
        ET.SubElement(case, "error", {"message": _xml(problem.partition("\n")[0]), "type": "problem"}).text = _xml(
            problem
        )
    for name in result.not_sent:
        case = ET.SubElement(suite, "testcase", {"classname": "timetracer", "name": _xml(name)})
        ET.SubElement(case, "skipped", {"message": "the command was not there to take it"})
    suites = ET.Element("testsuites")
    suites.append(suite)
    return bytes(ET.tostring(suites, encoding="utf-8", xml_declaration=True))


def _told(difference: Difference) -> list[str]:
    return [_marked(difference), *(f"  from it followed: {_marked(one)}" for one in difference.consequences)]


def _xml(text: str) -> str:
    return _NOT_XML.sub("\ufffd", text)


def as_html(result: Result) -> bytes:
    """Write one page that needs nothing beside it. Data goes in as JSON that no markup can leave.

    Args:
        result: the verification.
    """
    page = resources.files(__package__).joinpath("report.html").read_text("utf-8")
    data = as_json(result).decode("utf-8")
    for character in "<>&\u2028\u2029":
        data = data.replace(character, f"\\u{ord(character):04x}")
    return page.replace(_DATA, data, 1).encode("utf-8")


def write(file: Path, data: bytes) -> None:
    """Write a report to a file.

    Args:
        file: is replaced.
        data: what one of this module's functions gave.

    Raises:
        ConfigError: it cannot be written.
    """
    try:
        file.write_bytes(data)
    except OSError as error:
        raise ConfigError(f"the report {file} cannot be written: {error.strerror}") from error
