"""The one place where secrets are masked, at capture, so that no exporter can leak them.

Every capture path sends its headers and payloads through here. A replay sends the live ones through as well, so that
both sides compare equal.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterable, Sequence
from urllib.parse import urlsplit

__all__ = ["MASK", "arguments", "headers", "text", "url"]

MASK = "[redacted]"

_MASKED_HEADERS = frozenset({"authorization", "proxy-authorization"})
_KEY_HEADERS = frozenset({"api-key", "x-api-key"})
_SECRET_OPTION = re.compile(r"(?i)(pass(word|wd|phrase)?|secret|token|api-?_?key|credential)")
_USERINFO = re.compile(r"(?P<scheme>[a-zA-Z][a-zA-Z0-9+.-]*://)(?P<userinfo>[^/\s?#\"<>]+)@")
_IN_TEXT = re.compile(
    r"""(?ix)
    (?P<before> \b(?:bearer|basic)\s+ ) [\w.~+/=-]{8,}
    | (?P<named> \b[\w.-]*(?:pass(?:word|wd|phrase)?|secret|token|api[-_]?key|credential)s?
      (?:=["']?|["']\s*:\s*b?["']) ) [^\s"'&,;)}\]]+
    | \beyJ[\w-]{5,}\.[\w-]{5,}\.[\w-]*  # a JSON web token
    """
)
"""Secrets in running text: behind a scheme, as the value of a name that speaks of one, or by their form."""


def headers(pairs: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    """Mask the values of credential headers, in order, names as they are.

    A bearer token or an API key keeps 16 bits of its digest, enough to tell the recorded requests of two users apart
    and nothing to recover a random token from. Basic keeps as much of the user's name, and nothing of the password:
    a password can be guessed, and 16 bits would rule out all but one of 65,536 guesses. Other schemes, whose secrets
    may be guessable, keep only the scheme.
    """
    return [(name, _masked_header(name.lower(), value)) for name, value in pairs]


def _masked_header(name: str, value: str) -> str:
    if name in _MASKED_HEADERS:
        return _masked(value)
    if name == "host" and "@" in value:  # some clients send what stands before it in the URL
        return f"{MASK}@{value.rpartition('@')[2]}"
    return _digest(value) if name in _KEY_HEADERS and not value.startswith(MASK[:-1]) else value


def _masked(value: str) -> str:
    scheme, _, rest = value.partition(" ")
    if not rest:
        return MASK
    if rest.startswith(MASK[:-1]):  # masked already: a recorded request that is compared with a live one
        return value
    if scheme.lower() == "basic":
        return f"{scheme} {_digest_of_user(rest)}"
    return f"{scheme} {_digest(rest) if scheme.lower() == 'bearer' else MASK}"


def _digest_of_user(credentials: str) -> str:
    """Mask the credentials of Basic (RFC 7617): base64 of the user's name, a colon and the password."""
    try:
        user, colon, _ = base64.b64decode(credentials, validate=True).partition(b":")
    except ValueError:
        return MASK
    return _digest(user.decode("utf-8", "surrogateescape")) if colon else MASK


def _digest(secret: str) -> str:
    short = hashlib.blake2b(secret.encode("utf-8", "surrogateescape"), digest_size=2, person=b"timetracer").hexdigest()
    return f"{MASK[:-1]}:{short}]"


def url(text: str) -> str:
    """Mask the user name and password of every URL in a text."""
    return _USERINFO.sub(rf"\g<scheme>{MASK}@", text)


def text(running: str) -> str:
    """Mask what looks like a secret in running text, such as the message of an exception."""
    if "=" not in running and ":" not in running and " " not in running and "." not in running:
        return running
    return _IN_TEXT.sub(_masked_in_text, url(running))


def _masked_in_text(found: re.Match[str]) -> str:
    return (found["before"] or found["named"] or "") + MASK


def arguments(argv: Sequence[str]) -> list[str]:
    """Mask a command line: URLs' credentials, and the values of options whose name speaks of a secret."""
    masked: list[str] = []
    hide_next = False
    for argument in argv:
        name, equals, _value = argument.partition("=")
        option = argument.startswith("-") and bool(_SECRET_OPTION.search(name))
        if hide_next and not argument.startswith("-"):
            masked.append(MASK)
        elif (option or ("=" in argument and not urlsplit(name).scheme and _SECRET_OPTION.search(name))) and equals:
            masked.append(f"{name}={MASK}")
        else:
            masked.append(url(argument))
        hide_next = option and not equals
    return masked
