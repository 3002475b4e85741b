"""Who asks: the credentials of a request, and how well those of a recorded one go with them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum
from urllib.parse import parse_qsl

from timetracer_otel import redaction
from timetracer_otel.seams import web_tokens

__all__ = ["Fit", "Who"]


class Fit(IntEnum):
    """How the credentials of a recorded request go with those of a live one; the higher the better.

    Attributes:
        NEVER: only one of the two has any.
        OTHER: they are others.
        UNKNOWN: they are of the same kind, but the recorded ones are hidden, and there is no key.
        PERSON: they differ in when they were issued.
        SAME: they are the same.
    """

    NEVER = 0
    OTHER = 1
    UNKNOWN = 2
    PERSON = 3
    SAME = 4


@dataclass(frozen=True, slots=True)
class Who:
    """What a request says about who asks.

    Attributes:
        credentials: name and value of each header and parameter that is a secret; cookies are not among them.
        cookies: likewise.
    """

    credentials: frozenset[tuple[str, str]]
    cookies: frozenset[tuple[str, str]]

    @classmethod
    def of(cls, headers: list[tuple[str, str]], target: str) -> Who:
        """Find it.

        Args:
            headers: of the request.
            target: path and query.
        """
        return cls(frozenset(_credentials(headers, target)), frozenset(_cookies(headers)))

    def fit(self, recorded: Who) -> Fit:
        """Say how well a recorded request goes with this one.

        Args:
            recorded: who asked then.
        """
        mine, theirs = self.credentials, recorded.credentials
        if bool(mine) != bool(theirs):
            return Fit.NEVER
        if mine == theirs:
            return Fit.SAME
        if _names(mine) == _names(theirs) and any(redaction.hidden(value) for _, value in theirs - mine):
            return Fit.UNKNOWN
        return Fit.PERSON if _persons(mine) == _persons(theirs) else Fit.OTHER

    def cookies_alike(self, recorded: Who) -> int:
        """Say how alike the cookies are: equal ones count most, then those of one name; those of one side count less.

        Args:
            recorded: who asked then.
        """
        mine, theirs = self.cookies, recorded.cookies
        names, others = _names(mine), _names(theirs)
        return 2 * len(mine & theirs) + 2 * len(names & others) - len(names ^ others)

    def why_hidden(self) -> str:
        """Say why what is hidden in the credentials is not known here."""
        return next(filter(None, (redaction.why_hidden(value) for _, value in sorted(self.credentials))), "")


def _credentials(headers: list[tuple[str, str]], target: str) -> Iterator[tuple[str, str]]:
    for name, value in headers:
        lower = name.lower()
        if lower != "cookie" and redaction.is_credential(lower):
            yield lower, value.strip()
    for name, value in parse_qsl(target.partition("?")[2], keep_blank_values=True):
        if redaction.is_secret_parameter(name, value):
            yield f"?{name}", value


def _cookies(headers: list[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    for name, value in headers:
        if name.lower() == "cookie":
            for part in value.split(";"):
                cookie, _, text = part.strip().partition("=")
                yield cookie, text


def _names(said: frozenset[tuple[str, str]]) -> frozenset[str]:
    return frozenset(name for name, _ in said)


def _persons(credentials: frozenset[tuple[str, str]]) -> frozenset[tuple[str, str]]:
    """The same with each JSON Web Token by what it claims."""
    return frozenset((name, web_tokens.readable(value, web_tokens.OF_ONE_RUN)) for name, value in credentials)
