"""Reads from an SQL text its verb, its table, whether it only reads, and the columns of its parameters."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache, wraps
from typing import Final, TypeVar

from timetracer_otel.families.dbapi import in_lists

__all__ = ["OF_PEOPLE", "SHORT", "UNLISTED", "StatementOutline", "normal", "outline", "remembered"]

_Answer = TypeVar("_Answer")
SHORT: Final = 4096
"""Characters of the longest statement that is remembered: drivers write values into statements, so that they differ."""

_TOKEN: Final = re.compile(
    r"""(?xs)
    '(?:[^']|'')*'? | "(?:[^"]|"")*"? | `(?:[^`]|``)*`? | \[[^\]]*\]?       # texts and quoted names
    | (?P<comment> --[^\n]* | /\*.*?(?:\*/|\Z) )
    | (?P<parameter> \?\d* | [:@$#][\w$]+ )
    | [^\W\d][\w$]* | \d[\w.]* | \S
    """
)
_VERBS: Final = frozenset({"SELECT", "INSERT", "UPDATE", "DELETE", "REPLACE", "VALUES"})
_READS: Final = frozenset({"SELECT", "VALUES", "EXPLAIN", "PRAGMA"})
_TABLE_FOLLOWS: Final = {
    "SELECT": "FROM", "DELETE": "FROM", "INSERT": "INTO", "REPLACE": "INTO", "UPDATE": "UPDATE",
    "PRAGMA": "PRAGMA",
}  # fmt: skip
_OBJECTS: Final = frozenset({"TABLE", "INDEX", "VIEW", "TRIGGER"})
_FILLERS: Final = frozenset({"IF", "NOT", "EXISTS", "OR", "REPLACE", "ABORT", "FAIL", "IGNORE", "ROLLBACK", "ONLY"})
_COMPARISONS: Final = frozenset({"=", "<", ">", "LIKE", "IS", "IN", "NOT", "(", "!", "GLOB"})
_PRAGMAS_THAT_WRITE: Final = frozenset({"WAL_CHECKPOINT", "OPTIMIZE", "INCREMENTAL_VACUUM"})
_KEPT_PRAGMAS: Final = frozenset({
    "APPLICATION_ID", "AUTO_VACUUM", "ENCODING", "JOURNAL_MODE", "PAGE_SIZE", "SCHEMA_VERSION", "USER_VERSION",
    "WRITABLE_SCHEMA",
})  # fmt: skip
"""Those whose value the database keeps; setting another one concerns its connection only."""
_PRAGMAS_OF_CONNECTIONS: Final = frozenset({
    "BUSY_TIMEOUT", "CACHE_SIZE", "CASE_SENSITIVE_LIKE", "COLLATION_LIST", "COMPILE_OPTIONS", "DATABASE_LIST",
    "DEFER_FOREIGN_KEYS", "FOREIGN_KEYS", "FUNCTION_LIST", "LEGACY_ALTER_TABLE", "LOCKING_MODE", "MMAP_SIZE",
    "MODULE_LIST", "PRAGMA_LIST", "QUERY_ONLY", "READ_UNCOMMITTED", "RECURSIVE_TRIGGERS", "SECURE_DELETE",
    "SYNCHRONOUS", "TEMP_STORE", "THREADS", "TRUSTED_SCHEMA", "WAL_AUTOCHECKPOINT",
})  # fmt: skip
"""Those that ask about a connection: object mappers do when they first need one, in whichever request that is."""

OF_PEOPLE: Final = (
    "user|account|login|session|member|customer|person|people|staff|employee|admin|auth(?!or)|cred|passw|secret|token"
)
"""What is in the names of tables in which there may be secrets, as a pattern."""
_OF_PEOPLE: Final = re.compile(f"(?i){OF_PEOPLE}")
UNLISTED: Final = "unlisted_secret"
"""Stands for each column of such a table where an INSERT does not list them: one of the values may be a secret."""

_COMMENTER: Final = re.compile(r"\s*/\*\s*(?:[\w%.~-]+='[^']*'\s*,?\s*)+\*/\s*;?\s*\Z")
"""sqlcommenter appends the trace and the route, which differ each time."""
_SAVEPOINT: Final = re.compile(
    r"(?is)\A(?P<verb>\s*(?:SAVEPOINT|RELEASE(?:\s+SAVEPOINT)?|ROLLBACK(?:\s+TRANSACTION)?\s+TO(?:\s+SAVEPOINT)?)\s+)"
    r"(?P<quote>[\"`]?)(?:s\d{6,}_x\d+|s[0-9a-f]{32}|tortoise_savepoint_\d+)(?P=quote)\s*;?\s*\Z"
)
"""Object mappers name savepoints after a thread, by a counter of the process, or by a random id: none says anything."""


def remembered(function: Callable[[str], _Answer]) -> Callable[[str], _Answer]:
    """Remember what a function says of short statements.

    Args:
        function: of a statement's text alone.
    """
    cached = lru_cache(maxsize=1024)(function)

    @wraps(function)
    def remembering(sql: str) -> _Answer:
        return cached(sql) if len(sql) <= SHORT else function(sql)

    return remembering


@dataclass(frozen=True, slots=True)
class StatementOutline:
    """The facts in an SQL text.

    Attributes:
        verb: in capitals; empty when it has none.
        target: the first table that it names.
        reads: whether it changes nothing.
        sets: whether it sets its connection up, or asks how it is, so that what others write is nothing to it.
        bound: of each positional parameter, the column that it is given to or compared with; empty when unknown.
        named: likewise of the named ones, with their names: in order, each once.
    """

    verb: str
    target: str
    reads: bool
    sets: bool
    bound: tuple[str, ...]
    named: tuple[tuple[str, str], ...]


def normal(sql: str) -> str:
    """Give an SQL text without what only tells one run from another.

    Args:
        sql: the text.
    """
    if "*/" in sql:
        sql = _COMMENTER.sub("", sql)
    found = _SAVEPOINT.match(sql)
    return in_lists.sorted_literals(sql) if found is None else f"{found['verb']}s"


@lru_cache(maxsize=1024)
def outline(sql: str) -> StatementOutline:
    """Read over an SQL text. Its grammar is not checked: the database does that.

    Args:
        sql: the text.
    """
    tokens = [found[0] for found in _TOKEN.finditer(sql) if found["comment"] is None]
    words = [token.upper() for token in tokens]
    verb, start = _verb(words)
    bound, named = _bound(tokens, words)
    reads = _is_read(words, verb)
    sets = reads and verb == "PRAGMA" and ("=" in words or _is_of_connection(words[start + 1 :]))
    return StatementOutline(
        verb, _target(tokens[start:], words[start:], verb), reads, sets, bound, tuple(named.items())
    )


def _verb(words: list[str]) -> tuple[str, int]:
    """The verb, and where it stands; behind ``WITH`` that of what follows."""
    start, first = next(((number, word) for number, word in enumerate(words) if word != ";"), (0, ""))
    if first != "WITH":
        return (first if first.isalpha() else ""), start
    depth = 0
    for number, word in enumerate(words):
        depth += (word == "(") - (word == ")")
        if not depth and word in _VERBS:
            return word, number
    return first, start


def _is_read(words: list[str], verb: str) -> bool:
    if verb not in _READS:
        return False
    if verb == "PRAGMA":
        sets = "=" in words or "(" in words
        return _PRAGMAS_THAT_WRITE.isdisjoint(words) and not (sets and not _KEPT_PRAGMAS.isdisjoint(words))
    return True


def _is_of_connection(words: list[str]) -> bool:
    """Whether a PRAGMA, perhaps of a schema, asks about the connection."""
    name = words[2:3] if words[1:2] == ["."] else words[:1]
    return not _PRAGMAS_OF_CONNECTIONS.isdisjoint(name)


def _target(tokens: list[str], words: list[str], verb: str) -> str:
    marks = _OBJECTS if verb in {"CREATE", "DROP", "ALTER"} else {_TABLE_FOLLOWS.get(verb, "")}
    start = next((number for number, word in enumerate(words) if word in marks), None)
    if start is None:
        return ""
    for token in tokens[start + 1 :]:
        if token.upper() not in _FILLERS:
            name = _unquoted(token)
            return name if name.replace("_", "").isalnum() else ""
    return ""


def _unquoted(token: str) -> str:
    return token[1:-1] if token[:1] in {'"', "`", "["} else token


def _bound(tokens: list[str], words: list[str]) -> tuple[tuple[str, ...], dict[str, str]]:
    """The columns that parameters stand for: by the list of columns of an INSERT, or by what is compared."""
    columns, values_from = _inserted(tokens, words)
    positional: list[str] = []
    named: dict[str, str] = {}
    depth = place = 0
    for number, piece in enumerate(tokens):
        if number > values_from:
            depth += (piece == "(") - (piece == ")")
            place = 0 if piece == "(" and depth == 1 else place + (piece == "," and depth == 1)
        if piece[:1] not in {"?", ":", "@", "$", "#"} or (piece != "?" and len(piece) == 1):
            continue
        listed = values_from < number and depth >= 1 and place < len(columns)
        column = columns[place] if listed else _compared(tokens, words, number)
        if piece[0] == "?":
            positional.append(column)
        else:
            named.setdefault(piece[1:], column)
    return tuple(positional), named


def _inserted(tokens: list[str], words: list[str]) -> tuple[list[str], int]:
    """The columns that an INSERT lists, and where its values begin."""
    if "INTO" not in words or "VALUES" not in words:
        return [], len(words)
    start, end = words.index("INTO"), words.index("VALUES")
    listed = words[start:end]
    if "(" not in listed:
        is_of_people = any(map(_OF_PEOPLE.search, listed[1:]))
        return ([UNLISTED] * len(words), end) if is_of_people else ([], len(words))
    inside = tokens[start + listed.index("(") + 1 : end]
    return [_unquoted(token) for token in inside if token not in {",", ")", "("}], end


def _compared(tokens: list[str], words: list[str], number: int) -> str:
    before = number - 1
    while before >= 0 and words[before] in _COMPARISONS:
        before -= 1
    if before == number - 1 or before < 0:
        return ""
    name = _unquoted(tokens[before])
    return name if name.replace("_", "").isalnum() and not name.isdigit() else ""
