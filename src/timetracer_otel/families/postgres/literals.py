"""The values in an SQL text for PostgreSQL: found, named by their columns, hidden where they are secrets, and shown."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import lru_cache
from hashlib import blake2b
from typing import Final, NamedTuple

from timetracer_otel import redaction
from timetracer_otel.families.dbapi.statements import OF_PEOPLE, outline

__all__ = ["LONGEST", "Literal", "bare", "compact", "hidden", "named", "secret_parameters", "secrets_in", "speaks"]

LONGEST: Final = 1 << 16
"""Characters of the longest statement that is looked at as a whole; of a longer one its long values are left out."""
_SHORT: Final = 1 << 12
"""Characters of the longest statement of which it is remembered whether it speaks of a secret."""
_LONG: Final = 1 << 10
"""Characters from which such a value is a long one."""
_TOKEN: Final = re.compile(
    r"""(?xs)
    (?P<other> /\*.*?(?:\*/|\Z) | --[^\n]* | "(?:[^"]|"")*"? )
    | (?P<escaped> \b[eE]'[^'\\]*(?:(?:\\.|'')[^'\\]*)*(?:'|\Z) )
    | (?P<text> (?:\b[bBxXnN]|\b[uU]&)?'[^']*(?:''[^']*)*(?:'|\Z) )
    | (?P<dollar> \$(?P<tag>(?:[^\W\d]\w*)?)\$.*?(?:\$(?P=tag)\$|\Z) )
    | (?P<parameter> \$\d+ )
    | (?P<number> (?:(?<=[(,=<>])|(?<=[(,=<>]\s))-?\d+(?:\.\d*)?(?:[eE][+-]?\d+)?(?![\w.])
        | (?<![\w.$])\d+(?:\.\d*)?(?:[eE][+-]?\d+)?(?![\w.]) )
    | (?P<word> (?:(?<=[(,=])|(?<=[(,=]\s))(?i:NULL|TRUE|FALSE)\b(?!\s*\() )
    | [^\W\d][\w$]*
    """
)
"""Values, and what only looks as if it held some."""
_ESCAPE: Final = re.compile(r"(?s)\\([0-7]{1,3}|x[0-9a-fA-F]{1,2}|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}|.)|''")
_ESCAPED: Final = {"n": "\n", "r": "\r", "t": "\t", "b": "\b", "f": "\f"}
_SPEAKS: Final = re.compile(
    r"(?i)pass|pwd|token|auth|jwt|sig|hmac|session|key|secret|assertion|saml|identified|cred|crypt|://[^\s/]*@"
    rf"|\binto\s+[^\s(]*(?:{OF_PEOPLE})[^(]*\bvalues\b"
)
_ASKED_BY: Final = re.compile(r"(?i)\b(?:password|identified\s+by)\s+\Z")
"""What stands before the password of a user of the database."""
_BEFORE: Final = 60
_INSIDE: Final = re.compile(
    r"(?ix)\bpassword\s*=\s*(?P<value>[^\s'\";&]+) | \bpassword\s+'{1,2}(?P<quoted>[^']+)' | [a-z][a-z0-9+.-]*://[^/\s?\#\"'<>:@]*:(?P<userinfo>[^/\s?\#\"'<>@]+)@"
)
"""A password in a text that says where to connect to, or that is a statement itself."""
_CRYPTO: Final = re.compile(r"(?i)crypt|hmac")
_SECRET_ARGUMENTS: Final = {
    "crypt": {0}, "hmac": {0, 1}, "encrypt": {0, 1}, "decrypt": {1}, "encrypt_iv": {0, 1}, "decrypt_iv": {1},
    "pgp_sym_encrypt": {0, 1}, "pgp_sym_encrypt_bytea": {0, 1}, "pgp_sym_decrypt": {1}, "pgp_sym_decrypt_bytea": {1},
    "pgp_pub_encrypt": {0}, "pgp_pub_encrypt_bytea": {0}, "pgp_pub_decrypt": {1, 2}, "pgp_pub_decrypt_bytea": {1, 2},
}  # fmt: skip
"""Arguments of pgcrypto's functions that are what is to be kept secret, or the key to it."""
_ANY: Final = "x" * 64
"""A value that may be a secret if its name says so."""
_FIRST: Final = 10_000_000
"""Above the number of any parameter: what the values in a text are numbered from."""
_PIECE: Final = re.compile(r"\$\d+|[^\W\d]\w*|\S")


class Literal(NamedTuple):
    """A value in an SQL text.

    Attributes:
        start: where it begins, with its prefix.
        end: where it ends.
        raw: how it is written.
        opens: how many characters of that are before the text that it stands for.
        closes: how many are behind.
        kind: ``text``, ``escaped``, ``dollar``, ``number``, ``word``.
    """

    start: int
    end: int
    raw: str
    opens: int
    closes: int
    kind: str

    @property
    def text(self) -> str:
        """What is meant."""
        inside = self.raw[self.opens : len(self.raw) - self.closes]
        if self.kind == "escaped":
            return _ESCAPE.sub(_unescape, inside)
        return inside.replace("''", "'") if self.kind == "text" else inside

    def written(self, text: str) -> str:
        """Give how another text is written in its place.

        Args:
            text: that is to be meant.
        """
        if self.kind == "escaped":
            text = text.replace("\\", "\\\\").replace("'", "''")
        elif self.kind == "text":
            text = text.replace("'", "''")
        return self.raw[: self.opens] + text + self.raw[len(self.raw) - self.closes :]


def _unescape(found: re.Match[str]) -> str:
    code = found[1]
    if code is None:
        return "'"
    if code[0] in "01234567":
        return chr(int(code, 8) & 0xFF)
    return chr(int(code[1:], 16)) if code[0] in "xuU" and len(code) > 1 else _ESCAPED.get(code, code)


def literals(sql: str) -> Iterator[Literal]:
    """Find the values in an SQL text, in order.

    Args:
        sql: the text.
    """
    for found in _TOKEN.finditer(sql):
        kind, raw = found.lastgroup, found[0]
        if kind in {"text", "escaped"}:
            yield Literal(found.start(), found.end(), raw, raw.index("'") + 1, int(raw[-1] == "'"), kind)
        elif kind in {"dollar", "tag"}:
            mark = len(found["tag"]) + 2
            yield Literal(found.start(), found.end(), raw, mark, mark if len(raw) >= 2 * mark else 0, "dollar")
        elif kind in {"number", "word"}:
            yield Literal(found.start(), found.end(), raw, 0, 0, kind)


def bare(sql: str) -> str:
    """Give an SQL text with a mark in the place of each value: what it is about, without what it tells.

    Args:
        sql: the text.
    """
    return _marked(sql, literals(sql), lambda _number: "?")


def _marked(sql: str, found: Iterator[Literal] | list[Literal], mark: Callable[[int], str]) -> str:
    pieces, at = list[str](), 0
    for number, one in enumerate(found):
        pieces += (sql[at : one.start], mark(number))
        at = one.end
    return "".join((*pieces, sql[at:]))


def compact(sql: str) -> str:
    """Give an SQL text with a digest in the place of each long value, where it is long; mostly it is not.

    Args:
        sql: the text.
    """
    if len(sql) <= LONGEST:
        return sql
    pieces, at = list[str](), 0
    for one in literals(sql):
        if one.end - one.start >= _LONG:
            raw = one.raw.encode("utf-8", "surrogatepass")
            pieces += (sql[at : one.start], f"'{blake2b(raw, digest_size=16).hexdigest()} {len(raw)}'")
            at = one.end
    return "".join((*pieces, sql[at:])) if pieces else sql


def named(sql: str) -> list[tuple[Literal, str]]:
    """Give the values in an SQL text, each with the column that it is given to or compared with, or nothing.

    Args:
        sql: the text.
    """
    found = list(literals(sql))
    if not found:
        return []
    columns = dict(_outlined(_marked(sql, found, _numbered)))
    return [(one, columns.get(str(_FIRST + number), "")) for number, one in enumerate(found)]


def _numbered(number: int) -> str:
    return f"${_FIRST + number}"


@lru_cache(maxsize=512)
def _outlined(marked: str) -> tuple[tuple[str, str], ...]:
    return outline.__wrapped__(marked).named


@lru_cache(maxsize=512)
def _arguments(marked: str) -> frozenset[str]:
    """The numbers of the values that are secret arguments of pgcrypto's functions."""
    secret: set[str] = set()
    open_calls: list[tuple[str, int]] = []
    before = ""
    for piece in _PIECE.findall(marked):
        if piece == "(":
            open_calls.append((before.lower(), 0))
        elif piece == ")" and open_calls:
            open_calls.pop()
        elif piece == "," and open_calls:
            open_calls[-1] = open_calls[-1][0], open_calls[-1][1] + 1
        elif piece[0] == "$" and open_calls and open_calls[-1][1] in _SECRET_ARGUMENTS.get(open_calls[-1][0], ()):
            secret.add(piece[1:])
        before = piece
    return frozenset(secret)


def _secret(sql: str) -> Iterator[Literal]:
    found = list(literals(sql))
    marked = _marked(sql, found, _numbered)
    columns = dict(_outlined(marked))
    arguments = _arguments(marked) if _CRYPTO.search(marked) else frozenset[str]()
    for number, one in enumerate(found):
        if one.kind in {"number", "word"}:
            continue
        name = str(_FIRST + number)
        if (
            _speaks_of_one(columns.get(name, ""))
            or name in arguments
            or _ASKED_BY.search(sql[max(0, one.start - _BEFORE) : one.start])
        ):
            yield one
        else:
            yield from _inside(one)


def _inside(one: Literal) -> Iterator[Literal]:
    if one.end - one.start > LONGEST:
        return
    for found in _INSIDE.finditer(one.raw):
        start, end = found.span(found.lastgroup or 0)
        yield Literal(one.start + start, one.start + end, one.raw[start:end], 0, 0, "text")


def _speaks_of_one(column: str) -> bool:
    return bool(column) and redaction.is_secret_parameter(column, _ANY)


def speaks(sql: str) -> bool:
    """Whether there may be a secret in an SQL text: most have none, and are not looked through.

    Args:
        sql: the text.
    """
    return _speaks(sql) if len(sql) <= _SHORT else _SPEAKS.search(compact(sql)) is not None


@lru_cache(maxsize=1024)
def _speaks(sql: str) -> bool:
    return _SPEAKS.search(sql) is not None


def secrets_in(sql: str) -> list[str]:
    """Give the secrets in an SQL text.

    What is given to columns whose names speak of one, passwords of users, what pgcrypto is to keep secret.

    Args:
        sql: the text.
    """
    return [one.text for one in _secret(sql)] if speaks(sql) else []


def secret_parameters(sql: str) -> frozenset[int]:
    """Give the parameters of an SQL text that are secrets, by their number from 0.

    Args:
        sql: the text.
    """
    if not speaks(sql):
        return frozenset()
    marked = _marked(sql, literals(sql), _numbered)
    found = {name for name, column in _outlined(marked) if _speaks_of_one(column)}
    if _CRYPTO.search(marked):
        found |= _arguments(marked)
    return frozenset(int(name) - 1 for name in found if name.isdigit() and int(name) < _FIRST)


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
        pieces += (sql[at : one.start], one.written(how(one.text)))
        at = one.end
    return "".join((*pieces, sql[at:])) if pieces else sql
