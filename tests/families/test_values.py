"""Values that an app makes anew, in any text: found, taken out, put back, known again, and when they were made."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import re
import secrets
import string
import time
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from email.utils import format_datetime
from operator import ne

import bson
import pytest
from bson import Binary, ObjectId
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.families.test_mongodb import describe
from timetracer_otel.families.http import description
from timetracer_otel.families.http.messages import Sent
from timetracer_otel.families.mongodb import bson_walk
from timetracer_otel.seams import Value, values
from timetracer_otel.seams.value_clock import as_far_from, new_each_time
from timetracer_otel.seams.value_forms import known_by

CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
ALPHABET = string.ascii_letters + string.digits


def ulid(milliseconds: int) -> str:
    """A ULID of that moment."""
    number, digits = milliseconds << 80 | secrets.randbits(80), ""
    for _ in range(26):
        number, digit = divmod(number, 32)
        digits = CROCKFORD[digit] + digits
    return digits


def uuid7(milliseconds: int) -> str:
    """A UUID of version 7 of that moment."""
    raw = bytearray(milliseconds.to_bytes(6, "big") + os.urandom(10))
    raw[6], raw[8] = raw[6] & 0x0F | 0x70, raw[8] & 0x3F | 0x80
    return str(uuid.UUID(bytes=bytes(raw)))


def mixed(make: Callable[[], str]) -> Callable[[], str]:
    """Of random texts one that nobody would take for words: most neighbours are of other kinds, some stand alone."""

    def draw() -> str:
        while True:
            text = make()
            kinds = re.sub("[0-9]", "0", re.sub("[A-Z]", "A", re.sub("[a-z]", "a", re.sub("[-_+/=]", "-", text))))
            lonely = re.search("0a[0A]", kinds) is not None and "-" not in kinds.rstrip("-")[3:12]
            if lonely and kinds.rstrip("-").count("-") < 4 and sum(map(ne, kinds, kinds[1:])) * 2 > len(text):
                return text

    return draw


MADE: dict[str, Callable[[], str]] = {
    "uuid4": lambda: str(uuid.uuid4()),
    "UUID1 in capitals": lambda: str(uuid.uuid1()).upper(),
    "uuid without dashes": lambda: uuid.uuid4().hex,
    "urn": lambda: uuid.uuid4().urn,
    "braces": lambda: f"{{{uuid.uuid4()}}}",
    "uuid7": lambda: uuid7(time.time_ns() // 1_000_000),
    "ObjectId": lambda: str(ObjectId()),
    "ULID": lambda: ulid(time.time_ns() // 1_000_000),
    "KSUID": mixed(lambda: "".join(secrets.choice(ALPHABET) for _ in range(27))),
    "nanoid": mixed(lambda: "".join(secrets.choice(ALPHABET + "-_") for _ in range(21))),
    "trace id": lambda: secrets.token_hex(15) + "a1",
    "sha1": lambda: hashlib.sha1(os.urandom(9)).hexdigest(),  # noqa: S324 - an id, no secret
    "sha256": lambda: hashlib.sha256(os.urandom(9)).hexdigest(),
    "SHA512": lambda: hashlib.sha512(os.urandom(9)).hexdigest().upper(),
    "token_urlsafe": mixed(lambda: secrets.token_urlsafe(32)),
    "base64": mixed(lambda: base64.b64encode(os.urandom(32)).decode()),
    "ISO 8601": lambda: datetime.now(UTC).isoformat(timespec="microseconds"),
    "ISO 8601 with Z": lambda: datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
    "ISO 8601 basic": lambda: datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ"),
    "date of HTTP": lambda: format_datetime(datetime.now(UTC), usegmt=True),
    "seconds": lambda: str(int(time.time()) + secrets.randbelow(1000)),
    "milliseconds": lambda: str(time.time_ns() // 1_000_000 + secrets.randbelow(1000)),
    "bcrypt": lambda: "$2b$12$" + "".join(secrets.choice(ALPHABET + "./") for _ in range(53)),
    "argon2": lambda: f"$argon2id$v=19$m=65536,t=3,p=4${secrets.token_hex(11)}${secrets.token_hex(21)}",
    "pbkdf2 of werkzeug": lambda: f"pbkdf2:sha256:1000${secrets.token_hex(8)}${secrets.token_hex(32)}",
    "pbkdf2 of passlib": lambda: f"$pbkdf2-sha256$29000${secrets.token_hex(11)}${secrets.token_hex(21)}",
    "pbkdf2 of Django": lambda: (
        f"pbkdf2_sha256$260000${secrets.token_hex(11)}${base64.b64encode(os.urandom(32)).decode()}"
    ),
}
WORDS = [
    "how-to-install-python-312-on-windows-11",
    "HTTPServerURLParser",
    "Sha256WithRsaEncryption2",
    "ThisIsMyClassNameHere",
    "MyServiceHandler2024",
    "getUserByIdAndName2",
    "ORDER-2024-0000000123",
    "AKIAIOSFODNN7EXAMPLE",
    "internationalization",
    "projects/my-project/locations/us-east1",
    "4111111111111111",
    "+4915112345678",
    "price 1234567890.50",
    "1.15.20",
    "arn:aws:iam::123456789012:role/NightlyImport",
    "application/vnd.company.Resource.v2+json",
]


def blanked(text: str) -> tuple[str, list[Value]]:
    """What is left of a text, and the values."""
    blank = values.Blanker()
    return blank.text(text), blank.values


@pytest.mark.parametrize("kind", MADE)
@pytest.mark.parametrize("around", ["{}", "id {} and more", "key:{},", "https://a.test/x?y={}", "{} {}"])
def test_what_is_made_anew_is_a_value(kind: str, around: str) -> None:
    """Two runs leave the same text, other values, and each puts its own back where the other's stood."""
    mine, theirs = (around.format(*[MADE[kind]()] * 2) for _ in range(2))
    (left, found), (other_left, other_found) = blanked(mine), blanked(theirs)
    assert left == other_left
    assert found
    if mine != theirs:
        assert found != other_found
    assert values.rebound(mine, dict(zip(found, other_found, strict=True))) == theirs


@pytest.mark.parametrize("text", WORDS)
def test_words_and_numbers_are_no_values(text: str) -> None:
    """Names of the code, amounts, card and telephone numbers count as they are."""
    assert blanked(text) == (text, [])


def test_the_form_counts() -> None:
    """A UUID with dashes, without, and in capitals is one value in three forms; costs of a hash are its form."""
    made = uuid.uuid4()
    texts = [blanked(text) for text in (str(made), made.hex, str(made).upper())]
    assert len({left for left, _ in texts}) == 3
    assert len({tuple(found) for _, found in texts}) == 1
    assert blanked("$2b$12$" + "a" * 53)[0] != blanked("$2b$10$" + "a" * 53)[0]
    assert blanked(MADE["uuid4"]())[0] != blanked(MADE["ObjectId"]())[0]


@settings(deadline=None)
@given(st.text(), st.lists(st.sampled_from(sorted(MADE)), max_size=3), st.text())
def test_any_text_comes_back(before: str, kinds: list[str], after: str) -> None:
    """Whatever stands around, values are found in order and within the text; binding nothing changes nothing."""
    text = before + " ".join(MADE[kind]() for kind in kinds) + after
    found = list(values.tokens(text))
    assert [one.start for one in found] == sorted(one.start for one in found)
    assert all(one.start < one.end <= len(text) for one in found)
    assert values.rebound(text, {one.value: one.value for one in found}) == text


def test_one_value_in_two_families() -> None:
    """An id is the same value in a BSON document, binary or text, and wherever it stands in an HTTP request."""
    made = uuid.uuid4()
    stored = [describe({"find": "c", "q": one}).values for one in (Binary(made.bytes, 4), str(made), made.hex)]
    body = json.dumps({"id": made.hex}).encode()
    sent = Sent("POST", f"https://a.test/{made}/x?y={made}", [("x-id", str(made).upper())], body)
    assert {value for one in stored for value in one} == set(description.describe(sent).values)
    assert len(description.describe(sent).values) == 4


@pytest.mark.parametrize(
    "make",
    [
        lambda: os.urandom(16) + b"\xff",
        lambda: b"$2b$12$" + secrets.token_hex(26).encode() + b"a",
        MADE["argon2"],
        lambda: f"user {uuid.uuid4()} at {datetime.now(UTC).isoformat(timespec='microseconds')}",
        time.time,
        lambda: int(time.time()) + secrets.randbelow(1000),
        lambda: bson.Int64(time.time_ns() // 1_000_000 + secrets.randbelow(1000)),
    ],
    ids=["salt", "hash as bytes", "hash", "text", "float", "seconds", "milliseconds"],
)
def test_documents(make: Callable[[], object]) -> None:
    """Salts, hashes, texts and numbers of the clock are values of a document, and are put back into replies."""
    mine, theirs = ({"insert": "c", "d": {"x": make(), "n": 7}} for _ in range(2))
    one, other = describe(mine), describe(theirs)
    assert one.shape == other.shape
    assert one.values
    reply, live = bson.encode(mine["d"]), bson.encode(theirs["d"])  # type: ignore[arg-type]  # a document
    assert bson_walk.rebind(reply, dict(zip(one.values, other.values, strict=True))) == live


def test_content_is_no_value() -> None:
    """Binaries that are not random, long ones, and numbers that are no times count."""
    for one, other in ((b"\0" * 20, b"\0" * 19 + b"\1"), (os.urandom(300), os.urandom(300)), (5, 6), (1e9, 1.1e9)):
        assert describe({"find": "c", "q": one}).shape != describe({"find": "c", "q": other}).shape


def test_a_time_is_known_by_its_moment() -> None:
    """What one family brought as a text another has as a date; a mere second is not enough to be known by."""
    moment = datetime(2026, 1, 2, 3, 4, 5, 678000, tzinfo=UTC)
    (stored,) = bson_walk.values(bson.encode({"at": moment}))
    (_, (written,)) = blanked(moment.isoformat())
    assert set(known_by(stored)) & set(known_by(written))
    (stored,) = bson_walk.values(bson.encode({"at": moment.replace(microsecond=0)}))
    (_, (written,)) = blanked(moment.replace(microsecond=0).isoformat())
    assert not set(known_by(stored)) & set(known_by(written))


THEN, NOW = 1_764_000_000_000, 1_764_500_000_000
"""Milliseconds at which a recorded run and a live one began."""
OF_A_MOMENT: dict[str, Callable[[int], str]] = {
    "ULID": ulid,
    "uuid7": uuid7,
    "ObjectId": lambda moment: (moment // 1000).to_bytes(4, "big").hex() + os.urandom(8).hex(),
    "time": lambda moment: datetime.fromtimestamp(moment / 1000, UTC).isoformat(),
    "seconds": lambda moment: str(moment // 1000),
}


@pytest.mark.parametrize("make", OF_A_MOMENT.values(), ids=OF_A_MOMENT.keys())
def test_a_value_that_says_when_it_was_made(make: Callable[[int], str]) -> None:
    """It is new in each run when both were made in theirs: not a constant, nor one of the clock that is given back."""

    def new(recorded: int, live: int) -> bool:
        (_, (theirs,)), (_, (mine,)) = blanked(make(recorded)), blanked(make(live))
        return new_each_time(theirs, mine, (THEN, THEN + 3000), (NOW, NOW + 3000))

    assert new(THEN + 1000, NOW + 2000)
    assert not new(THEN - 86_400_000, NOW + 2000)
    assert not new(THEN + 1000, NOW + 86_400_000)
    assert not new(THEN + 1000, THEN + 2000)


def test_what_says_nothing_of_its_time_could_have_been_the_same() -> None:
    """A random id may be a constant of the code; a salted hash is another one each time."""

    def new(kind: str) -> bool:
        (_, (theirs,)), (_, (mine,)) = blanked(MADE[kind]()), blanked(MADE[kind]())
        return new_each_time(theirs, mine, (THEN, THEN + 3000), (NOW, NOW + 3000))

    assert not any(new(kind) for kind in ("uuid4", "sha256", "nanoid", "base64"))
    assert all(new(kind) for kind in ("bcrypt", "argon2", "pbkdf2 of werkzeug", "pbkdf2 of Django"))


def test_a_number_is_a_time_when_it_moves_with_the_clock() -> None:
    """Of two numbers that look like times only those as far from their runs' clocks stand for one another."""

    def fits(recorded: int, live: int) -> bool:
        return as_far_from(values.epoch(str(recorded)), values.epoch(str(live)), THEN, NOW)

    hour = 3600
    assert fits(THEN // 1000 + hour, NOW // 1000 + hour)
    assert fits(THEN + hour, NOW + hour)
    assert not fits(THEN // 1000 + hour, NOW // 1000 + 2 * hour)
    assert not fits(1_500_000_000, 1_600_000_000)
