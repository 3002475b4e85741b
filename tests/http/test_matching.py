"""What counts when requests are compared, and what does not."""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from timetracer_otel import seams
from timetracer_otel.config import Settings
from timetracer_otel.families.http import description, volatile
from timetracer_otel.families.http.messages import Sent
from timetracer_otel.seams import Description

FORM = "application/x-www-form-urlencoded"
URL = "https://api.example.com/v1/things"


def described(url: str = URL, body: bytes = b"", method: str = "POST", **headers: str) -> Description:
    """Describe a request; header names with underscores for dashes."""
    pairs = [(name.replace("_", "-"), value) for name, value in headers.items()]
    return description.describe(Sent(method, url, pairs, body))


def token(*, by: bytes = b"signature", **claims: Any) -> bytes:
    """A JSON Web Token with any signature."""
    parts = json.dumps({"alg": "ES256"}).encode(), json.dumps(claims).encode(), by
    return b".".join(base64.urlsafe_b64encode(part).rstrip(b"=") for part in parts)


@pytest.fixture
def settings_of_a_user() -> Iterator[None]:
    """Settings of a user."""
    seams.set_settings(Settings(ignore_headers=("x-noise",), ignore_query=("nonce",), ignore_fields=("sent_at",)))
    yield
    seams.set_settings(Settings())


SAME = {
    "order of the query": (described(URL + "?a=1&b=2"), described(URL + "?b=2&a=1")),
    "encoding of the query": (described(URL + "?q=a%20b"), described(URL + "?q=a+b")),
    "case of the host, default port": (described("https://API.example.com:443/v1/things"), described()),
    "a fragment of nothing": (described("https://api.example.com"), described("https://api.example.com/")),
    "escapes in the path": (described("https://a.test/%7Euser"), described("https://a.test/~user")),
    "layout of JSON": (
        described(body=b'{"a":1,"b":[1,2]}', content_type="application/json"),
        described(body=b'{ "b": [1, 2.0], "a": 1.0 }', content_type="application/json; charset=utf-8"),
    ),
    "JSON of a vendor": (
        described(body=b'{"a":1,"b":2}', content_type="application/vnd.api+json"),
        described(body=b'{"b":2,"a":1}', content_type="application/vnd.api+json"),
    ),
    "order of form fields": (
        described(body=b"a=1&b=2", content_type="application/x-www-form-urlencoded"),
        described(body=b"b=2&a=%31", content_type="application/x-www-form-urlencoded"),
    ),
    "boundary": (
        described(
            body=b'--XX\r\nContent-Disposition: form-data; name="a"\r\n\r\n1\r\n--XX--\r\n',
            content_type="multipart/form-data; boundary=XX",
        ),
        described(
            body=b'--yyy\r\nContent-Disposition: form-data; name="a"\r\n\r\n1\r\n--yyy--\r\n',
            content_type='multipart/form-data; boundary="yyy"',
        ),
    ),
    "packing": (
        described(body=gzip.compress(b'{"a":1}', mtime=1), content_type="application/json", content_encoding="gzip"),
        described(body=gzip.compress(b'{"a":1}', 1, mtime=2), content_type="application/json", content_encoding="gzip"),
    ),
    "signature and date": (
        described(authorization="AWS4-HMAC-SHA256 Credential=A/2026, Signature=1", x_amz_date="20260101T000000Z"),
        described(authorization="AWS4-HMAC-SHA256 Credential=B/2027, Signature=2", x_amz_date="20270101T000000Z"),
    ),
    "signed URL": (
        described(URL + "?x=1&X-Amz-Date=1&X-Amz-Signature=aa"),
        described(URL + "?x=1&X-Amz-Date=2&X-Amz-Signature=bb"),
    ),
    "OAuth 1 in the query": (
        described(URL + "?a=1&oauth_nonce=1&oauth_timestamp=2&oauth_signature=3&oauth_token=t"),
        described(URL + "?a=1&oauth_nonce=4&oauth_timestamp=5&oauth_signature=6&oauth_token=t"),
    ),
    "OAuth 1 in a form": (
        described(body=b"a=1&oauth_nonce=1&oauth_timestamp=2&oauth_signature=3%3D", content_type=FORM),
        described(body=b"a=1&oauth_nonce=4&oauth_timestamp=5&oauth_signature=6%3D", content_type=FORM),
    ),
    "a role's session that botocore names": (
        described(body=b"Action=AssumeRole&RoleSessionName=botocore-session-1764000000", content_type=FORM),
        described(body=b"Action=AssumeRole&RoleSessionName=botocore-session-1764999999", content_type=FORM),
    ),
    "when a token was made": (
        described(body=b"assertion=" + token(iat=1, exp=2, jti="a", sub="me"), content_type=FORM),
        described(body=b"assertion=" + token(iat=3, exp=4, jti="b", sub="me", by=b"other"), content_type=FORM),
    ),
    "when a token in a URL, JSON or a header was made": (
        described(f"{URL}?t={token(exp=1).decode()}", b'{"t":"%b"}' % token(exp=1), x_t=token(exp=1).decode()),
        described(f"{URL}?t={token(exp=2).decode()}", b'{"t":"%b"}' % token(exp=2), x_t=token(exp=2).decode()),
    ),
    "trace": (described(traceparent="00-1-1-01", baggage="a=1"), described(traceparent="00-2-2-01")),
    "version of the client": (described(user_agent="x/1.0.1"), described(user_agent="x/1.0.2")),
    "signature of an upload's pieces": (
        described(body=b"5;chunk-signature=" + b"a" * 64 + b"\r\nhello\r\n", content_encoding="aws-chunked"),
        described(body=b"5;chunk-signature=" + b"b" * 64 + b"\r\nhello\r\n", content_encoding="aws-chunked"),
    ),
}

DIFFERENT = {
    "method": (described(), described(method="PUT")),
    "path": (described(), described(URL + "/")),
    "encoded slash": (described("https://a.test/a%2Fb"), described("https://a.test/a/b")),
    "scheme": (described(), described(URL.replace("https", "http"))),
    "port": (described(), described("https://api.example.com:8443/v1/things")),
    "query value": (described(URL + "?a=1"), described(URL + "?a=2")),
    "empty query value": (described(URL + "?a="), described(URL)),
    "order of one name": (described(URL + "?a=1&a=2"), described(URL + "?a=2&a=1")),
    "expires without a signature": (described(URL + "?expires=1"), described(URL + "?expires=2")),
    "JSON value": (
        described(body=b'{"a":1}', content_type="application/json"),
        described(body=b'{"a":2}', content_type="application/json"),
    ),
    "JSON type": (
        described(body=b'{"a":1}', content_type="application/json"),
        described(body=b'{"a":"1"}', content_type="application/json"),
    ),
    "JSON true is not 1": (
        described(body=b'{"a":1}', content_type="application/json"),
        described(body=b'{"a":true}', content_type="application/json"),
    ),
    "order of a JSON list": (
        described(body=b"[1,2]", content_type="application/json"),
        described(body=b"[2,1]", content_type="application/json"),
    ),
    "form field": (
        described(body=b"a=1", content_type="application/x-www-form-urlencoded"),
        described(body=b"a=2", content_type="application/x-www-form-urlencoded"),
    ),
    "content of a part": (
        described(body=b"--X\r\n\r\n1\r\n--X--\r\n", content_type="multipart/form-data; boundary=X"),
        described(body=b"--X\r\n\r\n2\r\n--X--\r\n", content_type="multipart/form-data; boundary=X"),
    ),
    "OAuth 1 for another": (described(URL + "?oauth_token=t"), described(URL + "?oauth_token=u")),
    "a role's session that the app names": (
        described(body=b"RoleSessionName=nightly-import", content_type=FORM),
        described(body=b"RoleSessionName=weekly-import", content_type=FORM),
    ),
    "a token's claim": (
        described(body=b"assertion=" + token(exp=1, sub="me"), content_type=FORM),
        described(body=b"assertion=" + token(exp=1, sub="you"), content_type=FORM),
    ),
    "a claim": (
        described(body=b"assertion=" + token(exp=1, sub="me"), content_type=FORM),
        described(body=b"assertion=" + token(exp=1, sub="you"), content_type=FORM),
    ),
    "bytes": (described(body=b"\xff\x00"), described(body=b"\xff\x01")),
    "line of NDJSON": (
        described(body=b'{"a":1}\n{"b":2}\n', content_type="application/x-ndjson"),
        described(body=b'{"a":1}\n{"b":3}\n', content_type="application/x-ndjson"),
    ),
    "media type": (described(content_type="text/plain"), described(content_type="text/html")),
    "accept": (described(accept="application/json"), described(accept="text/csv")),
    "range": (described(range="bytes=0-1"), described(range="bytes=2-3")),
    "a header of one's own": (described(x_tenant="a"), described(x_tenant="b")),
}


@pytest.mark.parametrize("pair", SAME.values(), ids=SAME.keys())
def test_does_not_count(pair: tuple[Description, Description]) -> None:
    """Two requests that ask the same are the same."""
    assert pair[0] == pair[1]


@pytest.mark.parametrize("pair", DIFFERENT.values(), ids=DIFFERENT.keys())
def test_counts(pair: tuple[Description, Description]) -> None:
    """Two requests that ask something else differ."""
    assert pair[0] != pair[1]


def test_settings_extend_what_does_not_count(settings_of_a_user: None) -> None:
    """A user's headers, query parameters and fields are left out."""
    assert settings_of_a_user is None
    kind = {"content_type": "application/json"}
    one = described(URL + "?nonce=1", b'{"a": {"sent_at": 1}}', x_noise="1", **kind)
    other = described(URL + "?nonce=2", b'{"a": {"sent_at": 2}}', x_noise="2", **kind)
    assert one == other


@pytest.mark.parametrize("place", ["path", "query", "json", "form", "header"])
def test_ids_are_values(place: str) -> None:
    """Requests that differ in a generated id alone have one shape, and name the id as their value."""

    def ask(text: str) -> Description:
        return {
            "path": lambda: described(f"{URL}/{text}/x"),
            "query": lambda: described(f"{URL}?id={text}"),
            "json": lambda: described(body=f'{{"id": "{text}"}}'.encode(), content_type="application/json"),
            "form": lambda: described(body=f"id={text}".encode(), content_type="application/x-www-form-urlencoded"),
            "header": lambda: described(idempotency_key=text),
        }[place]()

    dashed = [str(uuid.uuid4()) for _ in range(2)]
    for mine, theirs in (dashed, [text.replace("-", "") for text in dashed], [text[-12:] * 2 for text in dashed]):
        one, other = ask(mine), ask(theirs)
        assert (one.key, one.shape) == (other.key, other.shape)
        assert one.values != other.values


def test_times_are_values() -> None:
    """A time in ISO 8601 is a value; its form counts, its digits do not."""
    kind = {"content_type": "application/json"}
    one, other, third = (
        described(body=f'{{"at": "{text}"}}'.encode(), **kind)
        for text in ("2026-01-02T03:04:05.678Z", "2027-12-31T23:59:59.1Z", "2026-01-02T03:04:05+00:00")
    )
    assert one.shape == other.shape
    assert one.values != other.values
    assert third.shape != one.shape


def test_a_digest_is_a_value() -> None:
    """Hexadecimal digits may be random, or a digest of something random: two requests that differ in them differ."""
    one, other = (described(f"{URL}/{hashlib.sha256(text).hexdigest()}") for text in (b"a", b"b"))
    assert (one.key, one.shape) == (other.key, other.shape)
    assert one != other


def test_masked_credentials_in_urls() -> None:
    """User and password in a URL do not count: the recording has them masked."""
    assert described("https://u:p@a.test/") == described("https://x:y@a.test/")


def test_reads_are_known() -> None:
    """Safe methods of RFC 9110 are reads."""
    assert [described(method=name).read for name in ("GET", "HEAD", "OPTIONS", "POST", "PUT", "DELETE")] == [
        True, True, True, False, False, False,
    ]  # fmt: skip


def test_every_entry_of_the_list_has_a_reason() -> None:
    """Nobody can leave something out of a comparison without saying why."""
    lists = (volatile.HEADERS, volatile.HEADER_PREFIXES, volatile.QUERY)
    assert all(len(reason) > 8 and name == name.lower() for entries in lists for name, reason in entries.items())


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(),
    lambda one: st.lists(one) | st.dictionaries(st.text(), one),
)
UNHURRIED: dict[str, Any] = {"deadline": None, "suppress_health_check": [HealthCheck.too_slow]}
"""A busy machine is no fault of what is tested."""
KINDS = ["", "application/json", "multipart/form-data; boundary=x", "text/plain", "nonsense;;="]


@settings(**UNHURRIED)
@given(JSON_VALUES)
def test_any_json_compares_by_value(value: object) -> None:
    """However JSON is laid out, the same value is the same request."""
    one = described(body=json.dumps(value).encode(), content_type="application/json")
    laid_out = json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False)
    other = described(body=laid_out.encode("utf-8", "surrogatepass"), content_type="application/json")
    assert one == other


@settings(**UNHURRIED)
@given(st.binary(max_size=200), st.sampled_from(KINDS), st.sampled_from(["", "gzip", "deflate", "zstd", "br"]))
def test_any_bytes_have_a_description(body: bytes, kind: str, coding: str) -> None:
    """No body can make a comparison fail."""
    one = described(body=body, content_type=kind, content_encoding=coding)
    assert one == described(body=body, content_type=kind, content_encoding=coding)
