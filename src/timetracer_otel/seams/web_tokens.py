"""JSON Web Tokens (RFC 7519) in texts, by what they say: a signature may be another one each time."""

from __future__ import annotations

import re
from typing import Any, Final

import orjson
import pybase64

__all__ = ["OF_ONE_RUN", "claims", "is_token", "readable"]

TOKEN: Final = re.compile(r"eyJ[A-Za-z0-9_-]+\.eyJ[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*")
OF_ONE_RUN: Final = frozenset({"iat", "nbf", "exp", "jti"})
"""Claims that say when a token was made, until when it holds, and which one it is: new in each run by design."""


def is_token(text: str) -> bool:
    """Whether a text is a token and nothing else."""
    return text.startswith("eyJ") and TOKEN.fullmatch(text) is not None


def claims(token: str, without: frozenset[str] = frozenset()) -> dict[str, Any] | None:
    """Give a token's header and claims; None when they are not JSON.

    Args:
        token: all of it.
        without: claims to leave out.
    """
    header, payload, _signature = token.split(".")
    try:
        said = _part(payload)
        if without and isinstance(said, dict):
            said = {name: claim for name, claim in said.items() if name not in without}
        return {"header": _part(header), "claims": said}
    except ValueError:
        return None


def _part(text: str) -> Any:
    return orjson.loads(pybase64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))


def readable(text: str, without: frozenset[str] = frozenset()) -> str:
    """Replace each token in a text by its header and claims.

    Args:
        text: a header's value, a cookie, a body.
        without: claims to leave out.
    """
    return TOKEN.sub(lambda found: _readable(found[0], without), text) if "eyJ" in text else text


def _readable(token: str, without: frozenset[str]) -> str:
    said = claims(token, without)
    return token if said is None else orjson.dumps(said, option=orjson.OPT_SORT_KEYS).decode()
