"""URLs of cassettes, without the secrets that may be in them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final
from urllib.parse import SplitResult, unquote, urlsplit

__all__ = ["Url", "is_url", "parse", "split"]

_URL: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://")
_QUERY: Final = re.compile(r"\?(?=[^/]*=).*", re.DOTALL)
"""A query, and not a question mark of a pattern."""


@dataclass(frozen=True, slots=True)
class Url:
    """A URL in its parts.

    Attributes:
        text: as it was given, with all that is secret: never to be printed.
        scheme: in small letters.
        user: what stands before the host, with its ``@``; secret.
        host: with its port; of object storage the bucket.
        path: all the rest, with its first slash.
    """

    text: str
    scheme: str
    user: str
    host: str
    path: str

    @property
    def login(self) -> tuple[str, str] | None:
        """User and password; None when it has none."""
        name, _, password = self.user.removesuffix("@").partition(":")
        return (unquote(name), unquote(password)) if self.user else None

    def __str__(self) -> str:
        """The URL without user, password and query."""
        return f"{self.scheme}://{self.host}{_QUERY.sub('?…', self.path)}"

    def clean(self, text: str) -> str:
        """Take what is secret in this URL out of a text, and make it one line.

        Args:
            text: such as the message of a library's error.
        """
        query = _QUERY.search(self.path)
        secrets = {self.user.removesuffix("@"), (self.login or ("", ""))[1], self.user.partition(":")[2][:-1]}
        secrets.add(query[0] if query else "")
        text = text.replace(self.text, str(self))
        for secret in sorted(filter(None, secrets), key=len, reverse=True):
            text = text.replace(secret, "…")
        return " ".join(text.split())


def is_url(text: str) -> bool:
    """Whether a name of a cassette is a URL."""
    return _URL.match(text) is not None


def parse(text: str) -> Url:
    """Part a URL.

    Args:
        text: for which :func:`is_url` holds.
    """
    scheme, _, rest = text.partition("://")
    place, slash, path = rest.partition("/")
    user, at, host = place.rpartition("@")
    return Url(text, scheme.lower(), user + at, host, slash + path)


def split(text: str) -> SplitResult:
    """Part an address that somebody typed or that was recorded; of what is no URL, ``http://[``, all is the path.

    Args:
        text: anything.
    """
    try:
        parts = urlsplit(text)
        _ = parts.port
    except ValueError:
        return SplitResult("", "", text, "", "")
    return parts
