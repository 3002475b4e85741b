"""Describes an HTTP request in the form in which recorded and live ones are compared."""

from __future__ import annotations

import re
from hashlib import blake2b
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from timetracer_otel import redaction, seams
from timetracer_otel.families.http import bodies
from timetracer_otel.families.http.messages import Sent
from timetracer_otel.families.http.process_needs import is_process_need
from timetracer_otel.families.http.volatile import ignored_field, ignored_header, ignored_query
from timetracer_otel.seams import Description, web_tokens
from timetracer_otel.seams.values import Blanker

__all__ = ["describe", "describe_blind", "describe_both", "describe_unsent", "shown"]

_SAFE = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})
"""Methods that change nothing (RFC 9110, section 9.2.1)."""
_USERINFO = re.compile(r"^([a-zA-Z][a-zA-Z0-9+.-]*://)[^/?#]*@")
_PORTS = {"http": 80, "https": 443}


def describe(request: Sent) -> Description:
    """Say what a request asks, so that the same request made in another run compares equal.

    The key is ``("http", method, origin, path)``. The shape holds the query by name, the headers that count, and the
    body by content. Ids and times count as values.

    Args:
        request: recorded or live, sent to its end.
    """
    return describe_both(request)[0]


def describe_unsent(request: Sent) -> Description:
    """As :func:`describe` without the body: for requests that were not sent to their end.

    Args:
        request: recorded or live.
    """
    return describe_both(request)[1]


def describe_both(request: Sent) -> tuple[Description, Description]:
    """Say what a request asks, with its body and without.

    Args:
        request: recorded or live.
    """
    url = redaction.blanked_url(request.url) if redaction.hidden(request.url) else request.url
    origin, path, query = _parted(url)
    settings = seams.settings()
    in_path, in_head, in_body = Blanker(), Blanker(), Blanker()
    key = ("http", request.method.upper(), origin, "/".join(map(in_path.text, path.split("/"))).replace("\0", ":"))
    head = b"\0\0\0".join((
        bodies.pairs_of(_counted_query(query, settings.ignore_query), in_head),
        bodies.pairs_of(_counted_headers(request, settings.ignore_headers), in_head),
    ))  # fmt: skip
    values, whom = (*in_path.values, *in_head.values), _preference(request)
    settles = is_process_need(request.method, url, request.body)
    read = settles or request.method.upper() in _SAFE
    subjects = (("http", origin, *path.strip("/").split("/")),)
    unsent = Description(
        key,
        blake2b(head, digest_size=16, person=b"unsent").digest(),
        values,
        read,
        whom,
        subjects=subjects,
        settles=settles,
        peer=origin,
    )
    kind, coding = request.header("content-type"), request.header("content-encoding")
    body = bodies.canonical(request.body, kind, coding, in_body, frozenset(settings.ignore_fields))
    digest = blake2b(head + b"\0\0\0" + body, digest_size=16, person=b"whole").digest()
    values = (*values, *in_body.values)
    whole = Description(key, digest, values, read, whom, subjects=subjects, settles=settles, peer=origin)
    return whole, unsent


def describe_blind(request: Sent) -> tuple[Description, ...]:
    """As :func:`describe_both` without the secrets in the URL, which a recording may have masked; empty without any.

    Args:
        request: live.
    """
    url = redaction.blanked_url(request.url)
    if _parted(url) == _parted(request.url):
        return ()
    return describe_both(Sent(request.method, url, request.headers, request.body, request.complete))


def _preference(request: Sent) -> bytes:
    """Digest of the headers that say for whom a request is, as far as a recording keeps them."""
    lower = ((name.lower(), value) for name, value in request.headers)
    who = [(name, value) for name, value in lower if redaction.is_credential(name) and name != "proxy-authorization"]
    if not who:
        return b""
    masked = [f"{name}:{value.strip()}" for name, value in redaction.headers(who)]
    return blake2b("\n".join(masked).encode("utf-8", "replace"), digest_size=16, person=b"who").digest()


def _parted(url: str) -> tuple[str, str, str]:
    try:
        parts = urlsplit(_USERINFO.sub(r"\1", url))
        host, port = (parts.hostname or "").lower(), parts.port
    except ValueError:  # no URL: the client says so, and it compares as it is
        return redaction.url(url), "", ""
    shown_port = f":{port}" if port is not None and port != _PORTS.get(parts.scheme.lower()) else ""
    path = re.sub(r"%2[fF]", "%252F", parts.path or "/")  # an encoded slash is not a slash
    return f"{parts.scheme.lower()}://{host}{shown_port}", unquote(path), parts.query


def _counted_query(query: str, more: tuple[str, ...]) -> list[tuple[str, str]]:
    found = parse_qsl(query, keep_blank_values=True)
    present = frozenset(name.lower() for name, _ in found)
    return [
        (name, value)
        for name, value in found
        if not ignored_query(name.lower(), present, more) and not ignored_field(name.lower(), value)
    ]


def _counted_headers(request: Sent, more: tuple[str, ...]) -> list[tuple[str, str]]:
    counted = []
    for name, value in redaction.headers(request.headers):
        lower = name.lower()
        if lower == "content-type":
            counted.append((lower, bodies.media_type(value)[0]))
        elif not ignored_header(lower, more):
            counted.append((lower, value.strip()))
    return counted


def shown(request: Sent) -> dict[str, Any]:
    """Give a request as data for people and for the difference in a miss: only what counts."""
    settings = seams.settings()
    origin, path, query = _parted(request.url)
    counted = [(name, _shown(name, value)) for name, value in _counted_query(query, settings.ignore_query)]
    return {
        "method": request.method.upper(),
        "url": origin + path,
        "query": _readable(_grouped(counted)),
        "headers": _readable(_grouped(_counted_headers(request, settings.ignore_headers))),
        "body": _readable(
            bodies.shown(
                request.body,
                request.header("content-type"),
                request.header("content-encoding"),
                frozenset(settings.ignore_fields),
            )
        ),
    }


def _shown(name: str, value: str) -> str:
    """A parameter for people: of a secret, a word that is the same for the same one."""
    return redaction.placeholders(redaction.hide(value)) if redaction.is_secret_parameter(name, value) else value


def _readable(shown: Any) -> Any:
    """The same with each JSON Web Token by what counts of it."""
    if isinstance(shown, str):
        return web_tokens.readable(shown, web_tokens.OF_ONE_RUN)
    if isinstance(shown, dict):
        return {name: _readable(value) for name, value in shown.items()}
    return [_readable(value) for value in shown] if isinstance(shown, list) else shown


def _grouped(pairs: list[tuple[str, str]]) -> dict[str, Any]:
    grouped: dict[str, list[str]] = {}
    for name, value in sorted(pairs, key=lambda pair: pair[0]):
        grouped.setdefault(name, []).append(value)
    return {name: values[0] if len(values) == 1 else values for name, values in grouped.items()}
