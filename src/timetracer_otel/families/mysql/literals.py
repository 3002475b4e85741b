"""The values that drivers write into an SQL text: found, named by their columns, hidden and shown."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import lru_cache
from hashlib import blake2b
from typing import Final, NamedTuple

from timetracer_otel import redaction
from timetracer_otel.families.dbapi.statements import OF_PEOPLE, StatementOutline, outline

__all__ = ["Literal", "bare", "compact", "hidden", "literals", "named", "outlined", "secrets_in", "unescaped"]

_TOKEN: Final = re.compile(
    r"""(?xsi)
    (?P<other> /\*.*?(?:\*/|\Z) | --(?=\s|\Z)[^\n]* | \#[^\n]* | `(?:[^`]|``)*`? )
    | (?P<prefix> \b(?:_[a-z][a-z0-9]*\s*|[nxb]))?
      (?P<text> '[^'\\]*(?:(?:\\.|'')[^'\\]*)*(?:'|\Z) | "[^"\\]*(?:(?:\\.|"")[^"\\]*)*(?:"|\Z) )
    | (?P<number> (?:(?<=[(,=<>])|(?<=[(,=<>]\s))-?(?:0x[0-9a-f]+|\d+(?:\.\d*)?(?:e[+-]?\d+)?)(?![\w.])
        | (?<![\w.$@])(?:0x[0-9a-f]+|\d+(?:\.\d*)?(?:e[+-]?\d+)?)(?![\w.]) )
    | (?P<word> (?:(?<=[(,=])|(?<=[(,=]\s))(?:NULL|TRUE|FALSE)\b(?!\s*\() )
    | [^\W\d][\w$]*
    """
)
"""Values, and what only looks as if it held some."""
_ESCAPE: Final = re.compile(r"(?s)\\(.)|''|\"\"")
_ESCAPED: Final = {"0": "\0", "n": "\n", "r": "\r", "t": "\t", "b": "\b", "Z": "\x1a"}
_LONGEST: Final = 4096
"""Characters of the beginning of a statement that say what it is about."""
_SPEAKS: Final = re.compile(
    r"(?i)pass|pwd|token|auth|jwt|sig|hmac|session|key|secret|assertion|saml|identified|cred"
    rf"|\binto\s+[^\s(]*(?:{OF_PEOPLE})[^(]*\bvalues\b"
)
_ASKED_BY: Final = re.compile(
    r"(?i)(?:identified\s+(?:with\s+\S+\s+|via\s+\S+\s+)?(?:by|as|using)\s+(?:password\s*\(?\s*)?|password\s*\(\s*)\Z"
)
"""What stands before the password of a user of the database."""
_ANY: Final = "x" * 64
"""A value that may be a secret if its name says so."""
_BEFORE: Final = 80
_LARGE: Final = 1 << 18
"""Characters from which a statement is looked at without its long values."""
_LONG: Final = 1 << 14
"""Characters from which such a value is a long one."""


class Literal(NamedTuple):
    """A value in an SQL text.

    Attributes:
        begins: where it begins, with its prefix.
        start: where it begins without.
        end: where it ends.
        raw: how it is written.
        prefix: what stands before its quotes, such as ``_binary``; in small letters.
        quoted: whether it is.
    """

    begins: int
    start: int
    end: int
    raw: str
    prefix: str
    quoted: bool

    @property
    def text(self) -> str:
        """What is meant."""
        return unescaped(self.raw[1:-1]) if self.quoted else self.raw


def unescaped(text: str) -> str:
    """Give what is meant by what stands between quotes.

    Args:
        text: between them.
    """
    if "\\" not in text and "''" not in text and '""' not in text:
        return text
    return _ESCAPE.sub(lambda found: found[0][0] if found[1] is None else _ESCAPED.get(found[1], found[1]), text)


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("'", "\\'")


def literals(sql: str) -> Iterator[Literal]:
    """Find the values in an SQL text, in order.

    Args:
        sql: the text.
    """
    for found in _TOKEN.finditer(sql):
        kind = found.lastgroup
        if kind == "text":
            prefix = (found["prefix"] or "").strip().lower()
            yield Literal(found.start(), found.start("text"), found.end(), found["text"], prefix, quoted=True)
        elif kind in {"number", "word"}:
            yield Literal(found.start(), found.start(), found.end(), found[0], "", quoted=False)


def bare(sql: str, found: list[Literal] | None = None) -> str:
    """Give an SQL text with a mark in the place of each value.

    Args:
        sql: the text.
        found: its values, where they are known.
    """
    pieces, at = list[str](), 0
    for one in literals(sql) if found is None else found:
        pieces += (sql[at : one.begins], "?")
        at = one.end
    return "".join((*pieces, sql[at:]))


def compact(sql: str) -> str:
    """Give an SQL text with a digest in the place of each long value; mostly there is none.

    Args:
        sql: the text.
    """
    if len(sql) < _LARGE:
        return sql
    pieces, at = list[str](), 0
    for one in literals(sql):
        if one.quoted and one.end - one.start >= _LONG:
            raw = one.raw.encode("utf-8", "surrogatepass")
            pieces += (sql[at : one.start], f"'{blake2b(raw, digest_size=16).hexdigest()} {len(raw)}'")
            at = one.end
    return "".join((*pieces, sql[at:])) if pieces else sql


def outlined(sql: str) -> StatementOutline:
    """Say what an SQL text is about, by its beginning.

    Args:
        sql: the text.
    """
    return _outlined(sql) if len(sql) <= _LONGEST else outline(bare(sql[:_LONGEST]))


@lru_cache(maxsize=256)
def _outlined(sql: str) -> StatementOutline:
    """Each statement is asked several times what it is about."""
    return outline(bare(sql))


def named(sql: str) -> list[tuple[Literal, str]]:
    """Give the values in an SQL text, each with the column that it is given to or compared with, or nothing.

    Args:
        sql: the text.
    """
    found = list(literals(sql))
    columns = outline(bare(sql, found)).bound
    if len(columns) != len(found):
        columns = ("",) * len(found)
    return list(zip(found, columns, strict=True))


def _secret(sql: str) -> Iterator[Literal]:
    for one, column in named(sql):
        if one.quoted and (
            (column and redaction.is_secret_parameter(column, _ANY))
            or _ASKED_BY.search(sql[max(0, one.start - _BEFORE) : one.start])
        ):
            yield one


def speaks(sql: str) -> bool:
    """Whether there may be a secret in an SQL text: most have none, and are not looked through.

    Args:
        sql: the text.
    """
    return _SPEAKS.search(sql) is not None


def secrets_in(sql: str) -> list[str]:
    """Give the secrets in an SQL text: what is given to columns whose names speak of one, and passwords of users.

    Args:
        sql: the text.
    """
    return [one.text for one in _secret(sql)] if speaks(sql) else []


def hidden(sql: str, how: Callable[[str], str]) -> str:
    """Give an SQL text with its secrets replaced.

    Args:
        sql: the text.
        how: gives what stands in the place of one.
    """
    if not speaks(sql):
        return sql
    pieces, at = list[str](), 0
    for one in _secret(sql):
        pieces += (sql[at : one.start], one.raw[0], _escaped(how(one.text)), one.raw[0])
        at = one.end
    return "".join((*pieces, sql[at:])) if pieces else sql
