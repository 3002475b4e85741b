"""Lists what never counts when HTTP requests are compared, each with its reason. Settings add to these lists."""

from __future__ import annotations

import re
from typing import Final

from timetracer_otel.redaction import is_credential

__all__ = [
    "BODY_PATTERNS",
    "FIELDS",
    "HEADERS",
    "HEADER_PREFIXES",
    "QUERY",
    "ignored_field",
    "ignored_header",
    "ignored_query",
]

HEADERS: Final = {
    # Tracing: new in each run by design.
    "traceparent": "the ids of this run's spans",
    "tracestate": "belongs to traceparent",
    "baggage": "belongs to traceparent",
    "b3": "the ids of this run's spans",
    "x-amzn-trace-id": "the ids of this run's spans",
    "x-cloud-trace-context": "the ids of this run's spans",
    "x-request-id": "made up for each request",
    "x-correlation-id": "made up for each request",
    # The clock.
    "date": "when it was sent",
    "x-amz-date": "when it was signed",
    "x-ms-date": "when it was signed",
    # The connection, and how the body travels: not what is asked.
    "connection": "of the connection",
    "keep-alive": "of the connection",
    "proxy-connection": "of the connection",
    "host": "in the URL already",
    "te": "of the connection",
    "upgrade": "of the connection; settled by the client",
    "http2-settings": "of the connection",
    "expect": "whether the client asks before it sends the body",
    "content-length": "the body is compared itself, and ids in it may vary in length",
    "transfer-encoding": "the body is compared itself",
    "content-encoding": "the body is compared unpacked",
    "content-md5": "a digest of the body, which is compared itself",
    "x-amz-content-sha256": "a digest of the body, which is compared itself",
    "x-ms-content-sha256": "a digest of the body, which is compared itself",
    "digest": "a digest of the body, which is compared itself",
    "content-digest": "a digest of the body, which is compared itself",
    "repr-digest": "a digest of the body, which is compared itself",
    "signature": "over the date (RFC 9421)",
    "signature-input": "what is signed, with the time and a nonce (RFC 9421)",
    "accept-encoding": "depends on which decompressors are installed",
    "trailer": "names the trailers, which hold digests of the body",
    # The client's own name and state.
    "user-agent": "names versions of the client, of Python and of the machine",
    "x-amz-user-agent": "as user-agent",
    "x-goog-api-client": "as user-agent, with an id of the invocation",
    "x-stripe-client-user-agent": "as user-agent",
    "x-stripe-client-telemetry": "how long the last request took",
    "x-elastic-client-meta": "as user-agent",
    "amz-sdk-invocation-id": "made up for each call",
    "amz-sdk-request": "number of the attempt, and a deadline by the clock",
    "x-goog-gcs-idempotency-token": "made up for each call",
    "x-ms-client-request-id": "made up for each call",
    "x-client-request-id": "made up for each call",
    "client-request-id": "made up for each call",
    "x-client-current-telemetry": "what the client was doing, and whether its cache was filled",
    "x-client-last-telemetry": "how earlier calls of the client went",
    "x-client-sku": "as user-agent",
    "x-client-ver": "as user-agent",
    "x-client-os": "as user-agent",
    "x-client-cpu": "as user-agent",
}
"""Header names in small letters."""

HEADER_PREFIXES: Final = {
    "x-b3-": "the ids of this run's spans",
    "x-datadog-": "the ids of this run's spans",
    "x-stainless-": "as user-agent: versions, operating system, number of the attempt",
    "x-amz-checksum-": "a digest of the body, which is compared itself",
    "sec-websocket-": "a random key of the connection",
}
"""How such header names begin."""

QUERY: Final = {
    "x-amz-signature": "over the date",
    "x-amz-date": "when the URL was signed",
    "x-amz-credential": "a credential, with the date in it",
    "x-amz-security-token": "a credential that the cloud renews",
    "x-goog-signature": "over the date",
    "x-goog-date": "when the URL was signed",
    "x-goog-credential": "a credential, with the date in it",
    "signature": "over the date, in URLs signed the old way",
    "awsaccesskeyid": "a credential",
    "expires": "when a signed URL ends, by the clock",
    "sig": "a shared access signature, over dates",
    "se": "when a shared access signature ends",
    "st": "when a shared access signature begins",
    "oauth_nonce": "random in each request (RFC 5849)",
    "oauth_timestamp": "when it was signed (RFC 5849)",
    "oauth_signature": "over nonce and time (RFC 5849)",
    "client-request-id": "made up for each call",
}
"""Names of query parameters in small letters."""

FIELDS: Final = {
    "oauth_nonce": (r".*", QUERY["oauth_nonce"]),
    "oauth_timestamp": (r".*", QUERY["oauth_timestamp"]),
    "oauth_signature": (r".*", QUERY["oauth_signature"]),
    "rolesessionname": (r"botocore-session-\d+", "made up by botocore, of the clock; a name that the app gives counts"),
}
"""Names of form fields and query parameters in small letters, the values that do not count, and why."""

BODY_PATTERNS: Final = {
    rb";chunk-signature=[0-9a-f]{64}": "SigV4 signature of a piece of an upload, over the date",
    rb"x-amz-trailer-signature:[0-9a-f]{64}": "SigV4 signature of the trailers of an upload, over the date",
}
"""Matches the parts that are cut out of bodies with ``Content-Encoding: aws-chunked``."""

_SIGNED = frozenset({"signature", "sig", "x-amz-signature", "x-goog-signature"})
_ONLY_SIGNED = frozenset({"expires", "se", "st"})


def ignored_header(name: str, more: tuple[str, ...] = ()) -> bool:
    """Whether a header does not count.

    Credentials do not, nor signatures over the date (SigV4), nor cookies, of which the clock decides what has expired:
    a replay may run with a made-up key. Of calls that are otherwise alike those with the same ones match first.

    Args:
        name: in small letters.
        more: names that the settings add, in small letters.
    """
    return name in HEADERS or is_credential(name) or name.startswith(tuple(HEADER_PREFIXES)) or name in more


def ignored_query(name: str, present: frozenset[str], more: tuple[str, ...] = ()) -> bool:
    """Whether a query parameter does not count.

    Args:
        name: in small letters.
        present: all names in that query, in small letters: short names count for signatures only beside a signature.
        more: names that the settings add, in small letters.
    """
    if name in more:
        return True
    return name in QUERY and (name not in _ONLY_SIGNED or bool(present & _SIGNED))


def ignored_field(name: str, value: str) -> bool:
    """Whether a field of a form, or a query parameter, does not count.

    Args:
        name: in small letters.
        value: what it says.
    """
    return name in FIELDS and re.fullmatch(FIELDS[name][0], value) is not None
