"""The values that an app may make anew in each run, whatever protocol carries them: ids, nonces, salted hashes, times.

A value is what was made, not how it is written: a UUID is the same in a BSON binary, in a text with dashes and in one
without, so that it binds to one recorded value wherever it stands. How it is written is its *form*, which counts.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from operator import ne
from typing import Final, NamedTuple

from timetracer_otel.seams import web_tokens
from timetracer_otel.seams.integration import Value

__all__ = [
    "DATETIME",
    "EPOCH",
    "HASH",
    "HEX",
    "OBJECT_ID",
    "TIME",
    "TIMESTAMP",
    "TOKEN",
    "UUID",
    "UUID_LEGACY",
    "Blanker",
    "Found",
    "epoch",
    "found_in",
    "of_bytes",
    "rebound",
    "tokens",
]

TOKEN, UUID_LEGACY, UUID, OBJECT_ID, DATETIME, TIMESTAMP = 2, 3, 4, 7, 9, 17
TIME, HEX, HASH, EPOCH = 0x81, 0x82, 0x83, 0x84
"""Tags, a value's first byte. Text that looks random; a UUID in the order that Python's older drivers wrote, and in
that of RFC 9562; an ObjectId; milliseconds of the epoch in 8 bytes, little-endian; MongoDB's logical time; a time as
text; hexadecimal digits; a salted hash; seconds or milliseconds of the epoch as digits."""

_MONTH: Final = r"(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)"
_TIME: Final = (
    r"[12]\d{3}-[01]\d-[0-3]\d(?:T|%20|\+| )[0-2]\d(?::|%3A)[0-5]\d"
    r"(?:(?::|%3A)[0-6]\d(?:[.,]\d{1,9})?)?(?: ?Z|(?:[+-]|%2B)\d\d(?::|%3A)?\d\d)?"
    r"|[12]\d{3}[01]\d[0-3]\dT[0-2]\d[0-5]\d[0-6]\d(?:[.,]\d{1,9})?(?:Z|[+-]\d{4})?"
    rf"|(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun), [0-3]\d {_MONTH} [12]\d{{3}} [0-2]\d:[0-5]\d:[0-6]\d (?:GMT|UTC|[+-]\d{{4}})"
)
_SALTED: Final = (
    # A hashed password, in the format that libraries share: algorithm and costs, then salt and hash.
    r"(?P<costs>\$2[abxy]\$\d\d\$)[./A-Za-z0-9]{53}"
    r"|(?P<costs_phc>\$(?:argon2(?:id|i|d)\$(?:v=\d+\$)?|pbkdf2(?:-sha\d+)?\$|scrypt\$|bcrypt-sha256\$)[a-z0-9=,]+\$)"
    r"[./+A-Za-z0-9]{11,}\$[./+A-Za-z0-9]{22,}"
    r"|(?P<costs_crypt>\$(?:1|5|6)\$(?:rounds=\d+\$)?)[./A-Za-z0-9]{2,16}\$[./A-Za-z0-9]{22,}"
    r"|(?P<costs_named>(?:pbkdf2:sha\d+(?::\d+)?|scrypt:\d+:\d+:\d+)\$|pbkdf2_sha\d+\$\d+\$|scrypt\$\d+\$)"
    r"[^\s$\"']{4,}\$[^\s\"']{22,}"
)
_UUID: Final = r"[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}"
_EPOCH: Final = r"(?<![-.,])(?:1[4-9]|2[01])\d{8}(?:\d{3})?(?:\.\d{1,9})?"
"""From 2014 to 2039."""
_SPECIAL: Final = re.compile(
    rf"(?<![0-9A-Za-z])(?:(?P<time>{_TIME})|(?P<uuid>{_UUID})|(?P<salted>{_SALTED})|(?P<epoch>{_EPOCH}))(?![0-9A-Za-z])"
)
_IN_SPECIAL: Final = re.compile(r"\d{4}|[0-9a-fA-F]{8}-|\$")
_LONG: Final = re.compile(r"[0-9A-Za-z+/_-]{14}")
"""Without these a text holds none of them: most texts are done with at a look."""
_BASE64: Final = re.compile(r"(?:^|(?<=[\s,;:=\"']))[A-Za-z0-9+/]{14,512}={0,2}(?=$|[\s,;\"'])")
_RUN: Final = re.compile(r"[0-9A-Za-z_-]{14,}(?![0-9A-Za-z_-])")
_HEX: Final = re.compile(
    r"(?<![0-9A-Za-z])(?:[0-9a-f]{16,512}|[0-9A-F]{16,512}|[0-9a-fA-F]{24}|[0-9a-fA-F]{32})(?![0-9A-Za-z])"
)
_PREFIX: Final = re.compile(r"(?:[a-z]{3,12}_)+")
_WORDS: Final = re.compile(r"(?:[A-Z]?[a-z]{2,}|[A-Z]{2,5}|[0-9]{1,8})+")
_DIGIT_INSIDE: Final = re.compile(r"\d[A-Za-z]")
_ULID: Final = re.compile(r"0[0-9A-HJKMNP-TV-Z]{25}")
_DIGIT: Final = re.compile(r"\d")
_FRACTION: Final = re.compile(r"[.,]\d+")
_SHORTEST: Final = 10
_OBJECT_ID_DIGITS: Final = 24
_UUID_DIGITS: Final = 32
_SHORTEST_BINARY: Final = 8
_LONGEST_BINARY: Final = 64
_SMALLEST_RANDOM: Final = 14
_LONGEST_RANDOM: Final = 512
"""Characters of what is taken for a nonce or a signature; what is longer is content."""


class Found(NamedTuple):
    """A value in a text.

    Attributes:
        start: where it begins.
        end: where it ends.
        value: what it is.
        form: how it is written.
    """

    start: int
    end: int
    value: Value
    form: str


def tokens(text: str) -> Iterator[Found]:
    """Give the values in a text, in order.

    Args:
        text: any.
    """
    if len(text) < _SHORTEST:
        return
    at = 0
    long = _LONG.search(text) is not None
    for match in _SPECIAL.finditer(text) if _IN_SPECIAL.search(text) else ():
        if long:
            yield from _random(text, at, match.start())
        yield _KINDS[match.lastgroup or ""](match)
        at = match.end()
    if long:
        yield from _random(text, at, len(text))


def _time(match: re.Match[str]) -> Found:
    # The form of a time counts, its digits do not: "Z" and "+00:00" come from different code.
    form = re.sub(r"[A-SU-Y][a-z]{2}", "Mon", _DIGIT.sub("0", _FRACTION.sub("", match[0])))
    return Found(match.start(), match.end(), bytes((TIME,)) + match[0].encode(), form)


def _uuid(match: re.Match[str]) -> Found:
    return Found(match.start(), match.end(), _of_hex(match[0].replace("-", "")), "uuid" + _case(match[0]))


def _salted(match: re.Match[str]) -> Found:
    costs = next(costs for name, costs in match.groupdict().items() if name.startswith("costs") and costs)
    return Found(match.start(), match.end(), bytes((HASH,)) + match[0].encode(), "salted" + costs)


def _epoch(match: re.Match[str]) -> Found:
    whole, _, part = match[0].partition(".")
    return Found(match.start(), match.end(), epoch(match[0]), f"epoch{len(whole)}{'.' if part else ''}")


_KINDS: Final[Mapping[str, Callable[[re.Match[str]], Found]]] = {
    "time": _time, "uuid": _uuid, "salted": _salted, "epoch": _epoch,
}  # fmt: skip


def epoch(digits: str) -> Value:
    """Give the value of a time as a number.

    Args:
        digits: seconds or milliseconds of the epoch.
    """
    return bytes((EPOCH,)) + digits.encode()


def _case(text: str) -> str:
    return "" if text == text.lower() else "+"


def _of_hex(digits: str) -> Value:
    tag = {_OBJECT_ID_DIGITS: OBJECT_ID, _UUID_DIGITS: UUID}.get(len(digits))
    return bytes((HEX,)) + digits.lower().encode() if tag is None else bytes((tag,)) + bytes.fromhex(digits)


def _random(text: str, start: int, end: int) -> Iterator[Found]:
    """Give what looks random in a part of a text that holds no value of a known form."""
    if end - start < _SMALLEST_RANDOM:
        return
    at = start
    for match in _BASE64.finditer(text, start, end):
        raw = match[0]
        if not len(raw) % 4 and not raw.isalnum() and _looks_random(raw.rstrip("=")):
            yield from _runs(text, at, match.start())
            yield Found(match.start(), match.end(), bytes((TOKEN,)) + raw.encode(), f"token {len(raw)}")
            at = match.end()
    yield from _runs(text, at, end)


def _runs(text: str, start: int, end: int) -> Iterator[Found]:
    at = start
    while (match := _RUN.search(text, at, end)) is not None:
        at = match.end()
        digits = [one for one in _HEX.finditer(text, match.start(), at) if _is_digest(one[0])]
        if digits:
            for one in digits:
                form = f"hex {len(one[0])}{_case(one[0])}"
                yield Found(one.start(), one.end(), _of_hex(one[0]), form)
            continue
        prefix = _PREFIX.match(text, match.start(), at)
        first = match.start() if prefix is None else prefix.end()
        if _looks_random(text[first:at]):
            yield Found(first, at, bytes((TOKEN,)) + text[first:at].encode(), f"token {at - first}")


def _is_digest(digits: str) -> bool:
    known = len(digits) in {_OBJECT_ID_DIGITS, _UUID_DIGITS}
    return known or (not digits.isdigit() and _DIGIT.search(digits) is not None)


def _looks_random(text: str) -> bool:
    """Whether a text is made of random characters rather than of words: upper, lower and digits change all the time.

    What is doubtful is none: a name that the app's code has must never be exchanged for another. So of texts of 21
    random letters and digits 3 in 100 are taken for words, of 32 characters fewer than 1 in 100.
    """
    if not _SMALLEST_RANDOM <= len(text) <= _LONGEST_RANDOM:
        return False
    if _ULID.fullmatch(text) is not None:
        return True
    plain = re.sub(r"[-_+/]", "", text)
    if len(text) - len(plain) > max(4, len(text) // 6):
        return False
    kinds = ["0" if one.isdigit() else "a" if one.islower() else "A" for one in plain]
    changes = sum(map(ne, kinds, kinds[1:]))
    if len(set(kinds)) <= 2 and "0" in kinds:  # noqa: PLR2004 - digits, and letters of one case: as few may be a word
        return len(plain) >= 20 and changes >= 4  # noqa: PLR2004 - as above
    mixed = changes * 10 >= 3 * (len(plain) - 1) and _DIGIT_INSIDE.search(plain) is not None
    return mixed and _WORDS.fullmatch(plain) is None


def of_bytes(raw: bytes) -> Value | None:
    """Give the value of a short binary that looks random (a salt, a nonce, a digest); None for others.

    Args:
        raw: its bytes.
    """
    if not _SHORTEST_BINARY <= len(raw) <= _LONGEST_BINARY or raw.isascii() or len(set(raw)) * 4 < len(raw) * 3:
        return None
    return _of_hex(raw.hex())


class Blanker:
    """Takes values out of text, piece by piece, and keeps them in order."""

    __slots__ = ("_left", "values")

    MOST: Final = 4 * 1024 * 1024
    """Characters that are looked through: what comes after them counts as it is."""

    def __init__(self) -> None:
        self.values: list[Value] = []
        self._left = self.MOST

    def text(self, text: str) -> str:
        """Give the text with its values replaced by their form, and tokens by what counts of them."""
        if len(text) < _SHORTEST or self._left < 0:
            return text
        self._left -= len(text)
        text = web_tokens.readable(text, web_tokens.OF_ONE_RUN)
        pieces, at = list[str](), 0
        for found in tokens(text):
            pieces += (text[at : found.start], "\0", found.form)
            self.values.append(found.value)
            at = found.end
        return "".join((*pieces, text[at:])) if pieces else text

    def number(self, number: float) -> object:
        """Give a number of JSON, or the form of a time in its place."""
        if not 1.4e9 <= number < 2.2e12:  # noqa: PLR2004 - outside of them none is a time
            return number
        match = _SPECIAL.fullmatch(repr(number))
        if match is None or match.lastgroup != "epoch":
            return number
        found = _epoch(match)
        self.values.append(found.value)
        return f"\0number {found.form}"


def found_in(text: str) -> Iterator[Value]:
    """Give the values in a text, in order, with repeats."""
    return (found.value for found in tokens(text))


def rebound(text: str, bindings: Mapping[Value, Value]) -> str:
    """Give a text with live values in place of the recorded ones that they are bound to."""
    if not bindings:
        return text
    pieces, at = list[str](), 0
    for found in tokens(text):
        live = bindings.get(found.value, found.value)
        if live != found.value:
            pieces += (text[at : found.start], _written(live, text[found.start : found.end]))
            at = found.end
    return "".join((*pieces, text[at:])) if pieces else text


def _written(value: Value, like: str) -> str:
    """Write a value as another one of its kind is written."""
    if value[0] in {OBJECT_ID, UUID}:
        digits = value[1:].hex()
        if "-" in like:
            digits = "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))
    else:
        digits = value[1:].decode()
    return digits.upper() if value[0] in {OBJECT_ID, UUID, HEX} and _case(like) else digits


def raw_of(value: Value) -> bytes:
    """Give the bytes of a value as a binary holds it; an odd number of hexadecimal digits is no binary."""
    whole = value[0] == HEX and len(value) % 2
    return bytes.fromhex(value[1:].decode()) if whole else value[1:]
