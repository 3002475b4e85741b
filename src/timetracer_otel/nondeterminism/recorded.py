"""What a lane drew when it was recorded, found by kind, site and branch, and how far a live lane is in it."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

import orjson

from timetracer_otel import spans
from timetracer_otel.errors import CassetteError
from timetracer_otel.nondeterminism.columns import NO_MORE, Column, Json, Reader, values_of
from timetracer_otel.nondeterminism.sites import Site
from timetracer_otel.seams import branches

__all__ = ["NO_MORE", "Cursor", "Here", "Index", "Key"]

_FIRST: Final = re.compile(rb'\{"first":(\d{1,18})[,}]')
Key: TypeAlias = tuple[str, Site]
"""A kind's name and a site."""


class Here(dict[str, Column]):
    """The recorded draws of one kind at one site, by branch."""

    def __missing__(self, branch: str) -> Column:
        column = self[branch] = Column()
        return column


class Cursor:
    """How far a live lane is in one :class:`Here`, branch by branch."""

    __slots__ = ("here", "readers")

    def __init__(self, here: Here) -> None:
        self.here = here
        self.readers: dict[str, Reader] = {branch: Reader(column) for branch, column in here.items()}

    def take(self, branch: str) -> Json:
        """The next value of a branch; :data:`NO_MORE` behind the last. The caller holds the lane's lock.

        When the recording does not know the branch (the code was made parallel, or no longer is) the next of the first
        branch that has one.
        """
        reader = self.readers.get(branch)
        if reader is not None:
            return reader.next()
        return next((value for one in self.readers.values() if (value := one.next()) is not NO_MORE), NO_MORE)


@dataclass
class Index:
    """What a recorded lane drew, by kind and site. It never changes once built.

    Args:
        groups: that were recorded.
        by_site: the draws of each kind at each site.
        zeros: of each kind, the first recorded value.
    """

    groups: frozenset[str] = frozenset()
    by_site: dict[Key, Here] = field(default_factory=lambda: defaultdict(Here))
    zeros: dict[str, Json] = field(default_factory=dict)

    @classmethod
    def of(cls, lanes: Iterable[Iterable[bytes]]) -> Index | None:
        """Read the payloads of a lane, or of several sessions one after the other.

        Returns:
            The index, None when there is no payload: then nothing of the kind was recorded.

        Raises:
            CassetteError: one is damaged.
        """
        index, empty = cls(), True
        try:
            for payloads in lanes:
                for payload in sorted(payloads, key=_first):
                    index._read(orjson.loads(payload))  # one after the other: decoded they are large
                    empty = False
        except (ValueError, TypeError, KeyError, IndexError, AttributeError) as error:
            raise CassetteError(f"{spans.DRAWS} is damaged ({error!r}): record it again") from error
        return None if empty else index

    def pieces(self) -> Index:
        """Give what was drawn in pieces of work that another process may do in the next run."""
        found = Index(self.groups, zeros=self.zeros)
        for key, here in self.by_site.items():
            for branch, column in here.items():
                if branches.is_piece(branch):
                    found.by_site[key][branch] = column
        return found

    @classmethod
    def joined(cls, indexes: Iterable[Index]) -> Index:
        """Put what several processes drew one behind the other.

        Args:
            indexes: of each; they stay as they are.
        """
        whole = cls()
        for one in indexes:
            whole.groups |= one.groups
            whole.zeros = one.zeros | whole.zeros
            for key, here in one.by_site.items():
                for branch, column in here.items():
                    whole.by_site[key][branch].chunks += column.chunks
        return whole

    def _read(self, document: Mapping[str, Any]) -> None:
        self.groups |= frozenset(document["groups"])
        known: list[Site] = [tuple(map(str, site)) for site in document["sites"]]
        columns = document.get("columns")
        if columns is None:  # as it was written until 0.1: each draw by itself
            columns = ([name, site, branch, [value]] for name, site, branch, value in document["draws"])
        for name, site, branch, packed in columns:
            self.by_site[name, known[site]][branch].add(packed)
            if name not in self.zeros:
                self.zeros[name] = next(values_of(packed), None)


def _first(payload: bytes) -> int:
    """How many draws of the lane came before a payload's."""
    found = _FIRST.match(payload)
    return int(found[1] if found is not None else orjson.loads(payload)["first"])
