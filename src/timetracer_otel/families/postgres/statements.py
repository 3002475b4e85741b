"""What an SQL text says to PostgreSQL: its verb and table, whether it only reads, which names in it mean nothing."""

from __future__ import annotations

import re
from hashlib import blake2b
from typing import Final

from timetracer_otel.families.dbapi import statements
from timetracer_otel.families.dbapi.functions import PURE
from timetracer_otel.families.dbapi.statements import SHORT, StatementOutline, remembered
from timetracer_otel.families.postgres import literals

__all__ = [
    "RESET",
    "StatementOutline",
    "cursor_of",
    "digest",
    "is_catalog",
    "is_empty",
    "is_probe",
    "is_read",
    "is_upkeep",
    "normal",
    "outline",
    "writes",
]

_ONE: Final = re.compile(r"(?i)\s*select\s+1\s*;?\s*")
_NAMES: Final = re.compile(
    r"""(?x)
    (?P<asyncpg> \b__asyncpg_[a-z]+_ )[0-9a-f]+__        # by a counter of the process
    | (?P<psycopg> \b_pg3_ )[0-9a-f]+                     # likewise
    | (?P<django> \b_django_curs_ )\d+_(?:sync|\d+)_\d+   # by a thread, a task and a counter of the connection
    | (?P<sqlalchemy> \bc_ )[0-9a-f]{6,}_[0-9a-f]+         # by an address and a counter
    """
)
"""Names of savepoints and cursors that drivers and object mappers make."""
_TRUNCATED: Final = re.compile(r'(?is)(\A\s*TRUNCATE\s+(?:TABLE\s+)?)("[^"]+"(?:\s*,\s*"[^"]+")+)')
"""Tables that are emptied together: their order means nothing."""
_STRINGS: Final = re.compile(r"(?s)'(?:[^']|'')*'|\$(\w*)\$.*?\$\1\$|--[^\n]*|/\*.*?\*/")
_WORD: Final = re.compile(r"[a-z_][\w$.]*(?:\s*\()?")
_READS: Final = frozenset({"SELECT", "VALUES", "TABLE", "SHOW"})
_WRITES: Final = frozenset({"insert", "update", "delete", "merge", "into", "lock"})
_TABLES: Final = re.compile(
    r"(?s)\b(?:from|join)\s+(.*?)(?=\b(?:where|join|inner|left|right|full|cross|natural|on|using|group|order|limit|offset"
    r"|union|except|intersect|having|window|for|fetch)\b|[();]|\Z)"
)
_FIRST_WORD: Final = re.compile(r"\s*(?:only\s+|lateral\s+)?\"?([a-z_][\w.]*)")
_OF_CATALOGS: Final = re.compile(r"pg_\w+|format_type|to_reg\w+|(?:obj|col|shobj)_description|current_schemas?|version")
_CATALOG: Final = re.compile(r"(?:pg_catalog\.|information_schema\.)?pg_\w+|information_schema\.\w+")
_FACTS: Final = re.compile(r"""(?xs)
    \s*(?: select\s+(?:pg_catalog\.)?(?:version|current_schema|current_database)\(\)
    | show\s+[\w ]+
    | select\s+1                                                                     # is the connection alive?
    | select\s+(?:pg_catalog\.)?set_config\( \s*'' \s*,\s* (?:''|\$1) \s*,\s* false \s*\)  # of the connection
    )\s*;?\s*
""")
"""What pools and object mappers ask of a new connection, or one that has waited."""
_CONTROL: Final = frozenset(
    {"BEGIN", "START", "COMMIT", "END", "ROLLBACK", "ABORT", "SAVEPOINT", "RELEASE", "SET", "CLOSE", "FETCH", "MOVE"}
)

_CURSOR: Final = re.compile(
    r"""(?isx) \A\s*
    (?: (?P<declares> DECLARE ) \s+ (?P<declared> "(?:[^"]|"")+" | \w+ )
    | (?: FETCH | MOVE | CLOSE ) \b .*? (?P<used> "(?:[^"]|"")+" | \w+ ) \s*;?\s*\Z )
    """
)
"""A statement that makes a cursor of the server, or uses one: that is named last."""

RESET: Final = frozenset({
    "SELECT pg_advisory_unlock_all();", "CLOSE ALL;", "UNLISTEN *;", "RESET ALL;",
    "DISCARD ALL", "DISCARD ALL;",
})  # fmt: skip
"""The lines that a pool sends by itself when a connection comes back."""


def outline(sql: str) -> StatementOutline:
    """Say what a statement is about; of a long one without parameters by its beginning.

    Args:
        sql: the text.
    """
    if len(sql) <= SHORT:
        return statements.outline(sql)
    return statements.outline.__wrapped__(sql if "$1" in sql else sql[:SHORT])


def is_empty(sql: str) -> bool:
    """Whether it says nothing, by which pools see whether a connection lives.

    Args:
        sql: a query.
    """
    return not sql.strip(" \t\r\n;")


@remembered
def is_probe(sql: str) -> bool:
    """Whether pools, and Django's health checks, see by it whether a connection lives, outside of a transaction.

    Args:
        sql: a query.
    """
    return is_empty(sql) or _ONE.fullmatch(sql) is not None


@remembered
def is_upkeep(sql: str) -> bool:
    """Whether drivers and pools send it by themselves to tidy a connection up, or to see whether it lives: no call.

    Args:
        sql: a query.
    """
    if is_empty(sql):
        return True
    lines = [line.strip() for line in sql.strip().splitlines()]
    return all(line in RESET or line.startswith("DEALLOCATE ") for line in lines)


def _in_order(found: re.Match[str]) -> str:
    return found[1] + ", ".join(sorted(re.split(r"\s*,\s*", found[2])))


def normal(sql: str) -> str:
    """Give an SQL text without what only tells one run from another.

    Args:
        sql: the text.
    """
    sql = _TRUNCATED.sub(_in_order, statements.normal(sql))
    return _NAMES.sub(lambda found: found[found.lastgroup or 0], sql) if "_" in sql else sql


@remembered
def digest(sql: str) -> str:
    """Give a name of a statement, the same in each run; secrets in it do not count."""
    sql = literals.hidden(literals.compact(sql), lambda _secret: "")
    return blake2b(normal(sql).encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()


@remembered
def is_read(sql: str) -> bool:
    """Whether a statement changes nothing, so far as its text says."""
    one = outline(sql)
    if one.verb not in _READS:
        return False
    plain = _STRINGS.sub("''", sql).lower()
    pure = all(name in PURE for name in _called(plain))
    return (pure or is_catalog(sql)) and _WRITES.isdisjoint(_WORD.findall(plain))


def _called(plain: str) -> set[str]:
    """The functions that a statement calls, and other words before a parenthesis."""
    return {word[:-1].strip().rpartition(".")[2] for word in _WORD.findall(plain) if word.endswith("(")}


@remembered
def is_catalog(sql: str) -> bool:
    """Whether a statement reads only what the server says of itself: each process asks that when it first needs it."""
    if outline(sql).verb not in _READS:
        return False
    plain = _STRINGS.sub("''", sql).lower()
    if _FACTS.fullmatch(plain) is not None:
        return True
    made = set(
        re.findall(r"(?:\bwith|,)\s+(?:recursive\s+)?(\w+)\s*(?:\([^()]*\)\s*)?as\s*(?:materialized\s*)?\(", plain)
    )
    if not all(name in PURE or _OF_CATALOGS.fullmatch(name) for name in _called(plain) - made):
        return False
    listed = [_FIRST_WORD.match(one) for found in _TABLES.findall(plain) for one in found.split(",")]
    tables = [found[1] for found in listed if found is not None and found[1] not in made]
    return bool(tables) and all(_CATALOG.fullmatch(name) for name in tables)


@remembered
def cursor_of(sql: str) -> tuple[str, bool]:
    """Say which cursor of the server a statement is about, and whether it makes that; no name where it is about none.

    Args:
        sql: the text.
    """
    found = _CURSOR.match(sql)
    if found is None:
        return "", False
    name = found["declared"] or found["used"]
    return name[1:-1] if name[0] == '"' else name.lower(), found["declares"] is not None


def writes(sql: str) -> bool:
    """Whether a transaction must be taken to have changed something after a statement."""
    return not is_read(sql) and outline(sql).verb not in _CONTROL
