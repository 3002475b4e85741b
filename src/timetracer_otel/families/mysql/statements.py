"""What an SQL text says to MySQL: what it is about, whether it only reads, which names in it mean nothing."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

from timetracer_otel.families.dbapi import statements
from timetracer_otel.families.dbapi.functions import PURE
from timetracer_otel.families.mysql import literals

__all__ = ["is_catalog", "is_end", "is_file_loaded", "is_read", "is_set_up", "normal", "verb_and_target", "writes"]

_LONGEST: Final = 1 << 16
"""Characters of the longest statement that is looked at closely: a longer one writes."""
_KILL: Final = re.compile(r"(?i)\A(\s*kill\s+(?:(?:hard|soft)\s+)?(?:connection\s+|query\s+)?)\d+")
_CURSOR: Final = re.compile(r"\bc_[0-9a-f]{6,}_[0-9a-f]+")
_FILE: Final = re.compile(
    r"(?is)\A(\s*load\s+(?:data|xml)\s+(?:low_priority\s+|concurrent\s+)?local\s+infile\s+)('[^']*'|\"[^\"]*\")"
)
_COMMENTS: Final = re.compile(r"(?s)/\*(?![!M]).*?(?:\*/|\Z)|--(?=\s|\Z)[^\n]*|#[^\n]*")
_WORD: Final = re.compile(r"[a-z_@][\w$.@]*(?:\s*\()?")
_READS: Final = frozenset({"SELECT", "VALUES", "TABLE", "SHOW", "DESCRIBE", "DESC", "EXPLAIN"})
_WRITES: Final = frozenset(
    {"insert", "update", "delete", "replace", "into", "lock", "share", "for", "procedure", "analyze"}
)
_OF_THE_CONNECTION: Final = re.compile(
    r"(?i)\s*show\s+(?:count\s*\(|warnings|errors|session|local|processlist|full\s+processlist|status)"
)
_LASTING: Final = re.compile(
    r"(?i)@@(?:session\.|local\.|global\.)?(?:last_insert_id|identity|warning_count|error_count|insert_id|timestamp|rand_seed"
    r"|in_transaction|pseudo|last_gtid|autocommit)|:="
)
"""Variables of a connection that statements change; and what sets one."""
_ALSO_PURE: Final = frozenset({
    "adddate", "addtime", "ascii", "bin", "bit_count", "bit_length", "char_length", "character_length", "charset",
    "collation", "concat_ws", "conv", "convert", "crc32", "date_add", "date_format", "date_sub", "datediff", "day",
    "dayname", "dayofmonth", "dayofweek", "dayofyear", "elt", "export_set", "field", "find_in_set", "from_base64",
    "from_days", "from_unixtime", "group_concat", "hex", "hour", "if", "ifnull", "inet_aton", "inet_ntoa", "instr",
    "interval", "isnull", "json_array", "json_arrayagg", "json_contains", "json_extract", "json_keys", "json_length",
    "json_object", "json_objectagg", "json_quote", "json_set", "json_table", "json_type", "json_unquote", "json_valid",
    "json_value", "last_day", "lcase", "locate", "makedate", "maketime", "match", "against", "microsecond", "mid",
    "minute", "month", "monthname", "oct", "ord", "period_add", "period_diff", "pow", "quarter", "quote", "radians",
    "regexp", "regexp_instr", "regexp_like", "regexp_substr", "reverse", "rlike", "sec_to_time", "second", "sha1",
    "sha2", "soundex", "space", "std", "str_to_date", "strcmp", "subdate", "substring_index", "subtime", "time_format",
    "time_to_sec", "timediff", "timestampadd", "timestampdiff", "to_base64", "to_days", "to_seconds", "truncate",
    "ucase", "unhex", "week", "weekday", "weekofyear", "year", "yearweek", "xor", "div", "binary", "as", "key",
    "index", "set", "signed", "unsigned", "offset", "partition", "ignore", "use", "force", "database", "schema",
    "version", "user", "current_user",
})  # fmt: skip
"""What changes nothing in MySQL, beside what changes nothing anywhere; without what is anew each time (NOW, UUID)."""
_PURE_HERE: Final = PURE | _ALSO_PURE
_CONTROL: Final = frozenset({
    "BEGIN", "START", "COMMIT", "ROLLBACK", "SAVEPOINT", "RELEASE", "SET", "USE", "KILL", "XA", "UNLOCK", "PREPARE",
    "DEALLOCATE",
})  # fmt: skip
_FACTS: Final = re.compile(
    r"(?is)\s*select\s+(?:(?:@@[\w.]+|version\(\)|database\(\)|schema\(\)|current_user\(\)|user\(\)"
    r"|convert_tz\([\s?,]*\)(?:\s+is\s+(?:not\s+)?null)?)"
    r"(?:\s+as\s+`?\w+`?|\s+`?\w+`?)?\s*,?\s*)+;?\s*"
)
_VARIABLES: Final = re.compile(
    r"(?is)\s*show\s+(?:session\s+|global\s+)?(?:variables|character\s+set|collation|engines|plugins)\b[^;]*;?\s*"
)
_TABLES: Final = re.compile(r"(?is)\b(?:from|join)\s+`?(\w+)`?(?:\s*\.|\b)")
_ENDS: Final = re.compile(r"(?i)\s*(?:commit|rollback)(?:\s+work)?\s*;?\s*")
_SETS_UP: Final = re.compile(
    r"(?is)\s*set\s+(?!.*(?:\bglobal\b|\bpersist|\bpassword\b|@(?!@)|@@global|\brole\b|\bstatement\b))[^;]*;?\s*"
)


def normal(sql: str) -> str:
    """Give an SQL text without what only tells one run from another.

    Args:
        sql: the text.
    """
    sql = statements.normal(sql)
    if found := _FILE.match(sql):
        sql = f"{found[1]}''{sql[found.end() :]}"
    if "c_" in sql:
        sql = _CURSOR.sub("c_", sql)
    return _KILL.sub(r"\1", sql)


def is_file_loaded(sql: str) -> str | None:
    """Give the file of the client that a statement loads; None where it loads none.

    Args:
        sql: the text.
    """
    found = _FILE.match(sql)
    return None if found is None else literals.unescaped(found[2][1:-1])


def verb_and_target(sql: str) -> tuple[str, str]:
    """Give the verb of a statement and its table.

    Args:
        sql: the text.
    """
    one = literals.outlined(sql)
    return one.verb, one.target


@lru_cache(maxsize=256)
def _plain(sql: str) -> str:
    return _COMMENTS.sub(" ", literals.bare(sql)).lower()


def is_read(sql: str) -> bool:
    """Whether a statement changes nothing, so far as its text says.

    Args:
        sql: the text.
    """
    if len(sql) > _LONGEST or verb_and_target(sql)[0] not in _READS:
        return False
    plain = _plain(sql)
    if _LASTING.search(plain) or _OF_THE_CONNECTION.match(plain) or ";" in plain.rstrip().rstrip(";"):
        return False
    words = _WORD.findall(plain)
    called = {word[:-1].strip() for word in words if word.endswith("(")}
    return (
        called <= _PURE_HERE
        and _WRITES.isdisjoint(words)
        and not any(word.startswith("@") and not word.startswith("@@") for word in words)
    )


@statements.remembered
def is_catalog(sql: str) -> bool:
    """Whether a statement asks only what the server says of itself: each process asks that when it first needs it.

    Args:
        sql: the text.
    """
    if len(sql) > _LONGEST or verb_and_target(sql)[0] not in {"SELECT", "SHOW"}:
        return False
    plain = _plain(sql)
    if _LASTING.search(plain):
        return False
    if _FACTS.fullmatch(plain) or _VARIABLES.fullmatch(plain):
        return True
    tables = _TABLES.findall(plain)
    return bool(tables) and all(one in {"information_schema", "mysql"} for one in tables) and is_read(sql)


def is_end(sql: str) -> bool:
    """Whether a statement ends a transaction, and does nothing where there is none.

    Args:
        sql: the text.
    """
    return _ENDS.fullmatch(sql) is not None


def is_set_up(sql: str) -> bool:
    """Whether a statement only sets a variable of its connection.

    Args:
        sql: the text.
    """
    return len(sql) < _LONGEST and verb_and_target(sql)[0] == "SET" and _SETS_UP.fullmatch(_plain(sql)) is not None


def writes(sql: str) -> bool:
    """Whether a transaction must be taken to have changed something after a statement.

    Args:
        sql: the text.
    """
    return verb_and_target(sql)[0] not in _CONTROL and not is_read(sql)
