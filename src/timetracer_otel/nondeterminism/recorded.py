"""What a lane drew when it was recorded, found by kind, site and branch, and how far a live lane is in it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

import orjson

from timetracer_otel import spans
from timetracer_otel.errors import CassetteError
from timetracer_otel.nondeterminism.columns import Column, Json
from timetracer_otel.nondeterminism.sites import Site

__all__ = ["NO_MORE", "Cursor", "Here", "Index", "Key"]

NO_MORE: Final = object()
"""Stands for a value that was not recorded."""

Key: TypeAlias = tuple[str, Site]
"""A kind's name and a site."""


class Here(dict[str, Column]):
    """The recorded draws of one kind at one site, by branch."""

    def __missing__(self, branch: str) -> Column:
        column = self[branch] = Column()
        return column


class Cursor:
    """How far a live lane is in one :class:`Here`."""

    __slots__ = ("_next", "here")

    def __init__(self, here: Here) -> None:
        self.here = here
        self._next: dict[str, int] = {}

    def take(self, branch: str) -> Json:
        """The next value of a branch; :data:`NO_MORE` behind the last.

        When the recording does not know the branch (the code was made parallel, or no longer is) the next of the first
        branch that has one.
        """
        here, taken = self.here, self._next
        if branch not in here:
            branch = next((one for one, column in here.items() if taken.get(one, 0) < column.count), "")
            if not branch and branch not in here:
                return NO_MORE
        number = taken.get(branch, 0)
        column = here[branch]
        if number >= column.count:
            return NO_MORE
        taken[branch] = number + 1
        return column[number]


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
                for document in sorted(map(orjson.loads, payloads), key=lambda one: int(one["first"])):
                    index._read(document)
                    empty = False
        except (ValueError, TypeError, KeyError, IndexError, AttributeError) as error:
            raise CassetteError(f"{spans.DRAWS} is damaged ({error!r}): record it again") from error
        return None if empty else index

    def _read(self, document: Mapping[str, Any]) -> None:
        self.groups |= frozenset(document["groups"])
        known: list[Site] = [tuple(map(str, site)) for site in document["sites"]]
        columns = document.get("columns")
        if columns is None:  # as it was written until 0.1: each draw by itself
            columns = ([name, site, branch, [value]] for name, site, branch, value in document["draws"])
        for name, site, branch, packed in columns:
            column = self.by_site[name, known[site]][branch]
            column.add(packed)
            if name not in self.zeros:
                self.zeros[name] = column[0]
