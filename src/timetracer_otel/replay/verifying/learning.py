"""``--learn``: what differs although the app is unchanged becomes a proposed ignore list, unless it may matter."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Final

from timetracer_otel import spans
from timetracer_otel.cassette import kinds
from timetracer_otel.cassette.model import Lane, Span
from timetracer_otel.replay.comparing.differences import Difference
from timetracer_otel.replay.comparing.ignore import IgnoreList, IgnoreRule
from timetracer_otel.replay.comparing.results import Verified
from timetracer_otel.replay.comparing.values import ABSENT, FieldDifference, short

__all__ = ["propose", "used_values"]

_INDEX: Final = re.compile(r"\[\d+\]")
_HEX: Final = re.compile(r"[0-9a-fA-F]{24}|[0-9a-fA-F]{32}")
"""An ObjectId, or a UUID without its dashes: calls may hold their bytes."""
_PROPOSED: Final = frozenset({"header", "body"})


def propose(
    runs: Sequence[Sequence[Verified]], used: Callable[[set[str]], set[str]], known: IgnoreList
) -> tuple[IgnoreList, list[str]]:
    """Make an ignore list of what differed although the app is unchanged.

    Args:
        runs: what each replay found, the list in force applied.
        used: gives those of some values that a recorded request or call uses: they are no noise.
        known: the list in force, which stays.

    Returns:
        The list, and what is refused: statuses, whole bodies, calls, and values that other requests or calls use.
    """
    found = [(one.operation, difference) for run in runs for one in run for difference in one.differences]
    values = {str(field.recorded) for _, one in found if one.kind in _PROPOSED for field in one.fields}
    taken = used(values - {""})
    entries, refused = dict.fromkeys(known.entries), dict[str, None]()
    places = {replace(entry, seen="") for entry in known.entries}
    for operation, difference in found:
        for entry, objection in _proposals(operation, difference, taken):
            place = replace(entry, seen="")
            if objection:
                refused[f"{operation}: {objection}"] = None
            elif place not in places:
                places.add(place)
                entries[entry] = None
    return IgnoreList(tuple(entries)), list(refused)


def _proposals(operation: str, difference: Difference, taken: set[str]) -> Iterator[tuple[IgnoreRule, str]]:
    if difference.kind not in _PROPOSED:
        yield IgnoreRule(operation), f"{difference} (only response headers and places in JSON bodies can be noise)"
        return
    for field in difference.fields:
        seen = f"{short(field.recorded)} recorded, {short(field.live)} now"
        if difference.kind == "header":
            yield IgnoreRule(operation, header=difference.what, seen=seen), _objection(field, difference.what, taken)
        elif not re.fullmatch(r"\$[.\[].*", field.path):
            yield IgnoreRule(operation, seen=seen), f"body {field.path} (it would hide a whole body)"
        else:
            entry = IgnoreRule(operation, body=_INDEX.sub("[*]", field.path), seen=seen)
            yield entry, _objection(field, field.path, taken)


def _objection(field: FieldDifference, place: str, taken: set[str]) -> str:
    recorded, live = field.recorded, field.live
    if recorded is ABSENT or live is ABSENT:
        return f"{place} (it is there only once)"
    if isinstance(recorded, dict | list | tuple) or isinstance(live, dict | list | tuple):
        return f"{place} (it would hide more than a value)"
    if isinstance(recorded, bool) or recorded is None or type(recorded) is not type(live):
        return f"{place} (a flag or another kind of value is no noise)"
    if str(recorded) in taken:
        return f"{place} (another request or call uses its value {short(recorded)})"
    return ""


def used_values(values: set[str], lanes: Iterable[Lane]) -> set[str]:
    """Give those of some values that stand in a recorded request or in what a recorded call asked.

    Args:
        values: texts.
        lanes: all that were recorded, gone through once.

    Raises:
        CassetteError: a payload was cut or damaged.
    """
    used: set[str] = set()
    for span in (span for lane in lanes for span in lane.spans):
        left = values - used
        if not left:
            break
        used |= _used_by(span, left)
    return used


def _used_by(span: Span, values: set[str]) -> set[str]:
    words = "|".join(map(re.escape, sorted(values, key=len, reverse=True)))
    pattern = re.compile(f"(?<![0-9A-Za-z])(?:{words})(?![0-9A-Za-z])")
    used = {found[0] for text in _texts(span) for found in pattern.finditer(text)}
    asked = span.payload(spans.REQUEST) or b""
    for value in values:
        digits = value.replace("-", "")
        if _HEX.fullmatch(digits) and bytes.fromhex(digits) in asked:
            used.add(value)
    return used


def _texts(span: Span) -> Iterator[str]:
    yield (span.payload(spans.REQUEST) or b"").decode("utf-8", "replace")
    if (kind := kinds.of(span.attributes)) is not None:  # of HTTP calls too, which have the same attributes
        head, body = kind.texts(span)
        yield from head
        yield body.decode("utf-8", "replace")
