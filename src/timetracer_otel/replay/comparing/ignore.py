"""The ignore list: a file beside the cassettes that says what of responses may differ."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from timetracer_otel.errors import ConfigError
from timetracer_otel.replay.comparing.differences import Difference
from timetracer_otel.replay.comparing.results import Verified

__all__ = ["FILE_NAME", "IgnoreList", "IgnoreRule", "read", "write"]

FILE_NAME: Final = "timetracer-ignore.toml"
_KEYS: Final = frozenset({"request", "header", "body", "seen"})
_HEADER_TEXT: Final = """\
# What may differ in the responses of a replay: read by `timetracer-replay --verify`, proposed by its --learn.
# Review each entry: whatever it names is never compared again.
#   request = method and route, as in the report      header = a response header      body = a place in a JSON body
"""


@dataclass(frozen=True, slots=True)
class IgnoreRule:
    """One thing that may differ.

    Attributes:
        request: method and route, ``GET /orders/<id>``; ``*`` for all.
        header: the name of a response header, in lower case; empty when it is about the body.
        body: a place in a JSON body: ``$.items[*].at``.
        seen: an example, for whoever reviews it.
    """

    request: str
    header: str = ""
    body: str = ""
    seen: str = ""

    def hides(self, operation: str, difference: Difference, path: str) -> bool:
        """Whether a difference need not be told.

        Args:
            operation: method and route of the request.
            difference: the difference.
            path: the place of one of its fields.
        """
        if self.request not in {"*", operation}:
            return False
        if self.header:
            return difference.kind == "header" and difference.what == self.header
        return difference.kind == "body" and _covers(self.body, path)


def _covers(pattern: str, path: str) -> bool:
    """Whether a path is the one that a pattern means, or below it."""
    regex = re.escape(pattern).replace(re.escape("[*]"), r"\[\d+\]")
    return re.fullmatch(regex + r"(?:[.\[].*)?", path) is not None


@dataclass(frozen=True, slots=True)
class IgnoreList:
    """All entries in force."""

    entries: tuple[IgnoreRule, ...] = ()

    def apply(self, verified: Verified) -> tuple[Verified, int]:
        """Leave out what is to be ignored.

        Args:
            verified: a compared lane.

        Returns:
            The rest, and how many places were hidden.
        """
        kept, hidden = self._kept(verified.operation, verified.differences)
        return (replace(verified, differences=kept) if hidden else verified), hidden

    def _kept(self, operation: str, found: Iterable[Difference]) -> tuple[list[Difference], int]:
        kept: list[Difference] = []
        hidden = 0
        for difference in found:
            fields = tuple(one for one in difference.fields if not self._hides(operation, difference, one.path))
            consequences, below = self._kept(operation, difference.consequences)
            hidden += len(difference.fields) - len(fields) + below
            if fields or not difference.fields:
                kept.append(replace(difference, fields=fields, consequences=tuple(consequences)))
        return kept, hidden

    def _hides(self, operation: str, difference: Difference, path: str) -> bool:
        return any(entry.hides(operation, difference, path) for entry in self.entries)


def read(files: Iterable[Path]) -> IgnoreList:
    """Read ignore lists.

    Args:
        files: those that exist count.

    Raises:
        ConfigError: one is no such list, or an entry hides a whole body.
    """
    return IgnoreList(tuple(entry for file in files if file.is_file() for entry in _entries(file)))


def _entries(file: Path) -> Iterator[IgnoreRule]:
    try:
        listed = tomllib.loads(file.read_text("utf-8")).get("ignore", [])
    except (OSError, ValueError) as error:
        raise ConfigError(f"{file} cannot be read ({error}): mend it, or remove it") from error
    for number, table in enumerate(listed if isinstance(listed, list) else [None], start=1):
        yield _entry(table, f"{file}, entry {number}")


def _entry(table: Any, place: str) -> IgnoreRule:
    if (
        not isinstance(table, dict)
        or not set(table) <= _KEYS
        or not all(isinstance(one, str) for one in table.values())
    ):
        raise ConfigError(f"{place}: an entry has the texts `request`, and `header` or `body`")
    entry = IgnoreRule(
        table.get("request", ""), table.get("header", "").lower(), table.get("body", ""), table.get("seen", "")
    )
    if not entry.request or bool(entry.header) == bool(entry.body):
        raise ConfigError(f"{place}: an entry has `request`, and either `header` or `body`")
    if entry.body and not re.fullmatch(r"\$.*[^$\]\[*.].*", entry.body):
        raise ConfigError(f"{place}: {entry.body!r} hides a whole body; name a place in it, such as $.created_at")
    return entry


def write(file: Path, ignored: IgnoreList, refused: Sequence[str]) -> None:
    """Write a list, for people to review.

    Args:
        file: the list; replaced.
        ignored: its entries.
        refused: what was seen to differ and is not proposed, with the reason.

    Raises:
        ConfigError: it cannot be written.
    """
    lines = [_HEADER_TEXT]
    for entry in ignored.entries:
        members = {"request": entry.request, "header": entry.header, "body": entry.body, "seen": entry.seen}
        lines += ["[[ignore]]", *(f"{name} = {_quoted(text)}" for name, text in members.items() if text), ""]
    if refused:
        lines += ["# Not proposed:", *(f"#   {_one_line(text)}" for text in refused), ""]
    try:
        file.write_text("\n".join(lines), "utf-8")
    except OSError as error:
        raise ConfigError(f"the ignore list {file} cannot be written: {error.strerror}") from error


def _quoted(text: str) -> str:
    """A TOML basic string: its escapes are those of JSON, and 0x7f must be escaped too (TOML 1.0, "String")."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def _one_line(text: str) -> str:
    return "".join(character if character.isprintable() else " " for character in text)
