"""The kinds of entries, as a recording holds them: how one is told, addressed, shown, found again.

Nothing but a kind's own module knows its attributes. The modules are found by the door, so that this room needs none.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, TypeAlias

if TYPE_CHECKING:
    from timetracer_otel.cassette.model import Lane, Span

__all__ = [
    "Chosen",
    "Claim",
    "EntryKind",
    "Follower",
    "Outlined",
    "Side",
    "Texts",
    "finders",
    "is_run_again",
    "known",
    "label",
    "named",
    "of",
    "sealed",
]

Claim: TypeAlias = Callable[[str], bool]
"""Takes a name that only one process of a replay may have; says whether this one got it."""
Attributes: TypeAlias = Mapping[str, object]


class Texts(NamedTuple):
    """The texts that an entry brought: a value that stands in them is not fresh.

    Attributes:
        head: short texts.
        body: bytes that may be many.
    """

    head: Sequence[str] = ()
    body: bytes = b""


class Chosen(NamedTuple):
    """The recorded lane that a live entry follows.

    Attributes:
        lane: the recorded one; None when there is none.
        remark: what is to be said about the choice; empty when nothing is.
    """

    lane: Lane | None
    remark: str = ""


class Outlined(Protocol):
    """A follower knows this of a recorded lane before it reads it, see :mod:`timetracer_otel.cassette.outlines`."""

    @property
    def id(self) -> str:
        """The lane's."""
        ...

    @property
    def trace_id(self) -> str:
        """The trace of its entry."""
        ...

    @property
    def method(self) -> str:
        """The beginning of its name."""
        ...

    @property
    def target(self) -> str:
        """The address of its entry."""
        ...

    @property
    def has_body(self) -> bool:
        """Whether its entry had a body."""
        ...


class Follower(Protocol):
    """Finds the recorded lane that a live entry of one kind follows."""

    def wants_whole(self, entry: Any) -> bool:
        """Whether an entry must be read to its end before it is looked for."""
        ...

    def choose(self, entry: Any) -> Chosen:
        """Give the lane that an entry follows, and count it as followed."""
        ...

    def forked(self) -> None:
        """Be usable in a forked child, where the threads that may have held locks are not."""
        ...


@dataclass(frozen=True, slots=True)
class Side:
    """One side of an entry as it is shown to people: what came in, or what came of it.

    Attributes:
        facts: attributes that are texts or numbers, by the names they are shown under.
        headers: attributes that are lists of pairs, likewise.
        body: the payload; empty where there is none.
    """

    facts: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    body: str = ""


@dataclass(frozen=True, slots=True)
class EntryKind:
    """A kind of entry, declared.

    Attributes:
        name: such as ``http``; a live entry's ``kind``.
        reads: whether attributes are those of an entry of this kind, or of a part of one.
        facts: what they say of it, as far as they go: ``method``, ``target``, ``route``, ``group`` (entries of one are
            kept in order when asked) and ``has_body``; see :class:`timetracer_otel.cassette.outlines.Outline`.
        needed: without these facts it was not recorded well enough to be driven again.
        texts: what a recorded one brought.
        request: how people are shown what came in.
        response: how they are shown what came of it.
        label: what a list shows as method and target, also of what others have recorded; None where it is not said.
        follower: makes what finds the recorded lane of a live entry, from the outlines of this kind, what reads a lane
            by its id, and what claims names.
        status: the number that an entry ended with, None where its kind has none or it is not known.
        told: what an entry's end is called when it failed without an exception; empty when it did not.
        outcome: what came of one, JSON-like, from the attributes of its entry: for kinds that are driven again inside
            the program, by the integration that hands it its entries. None for those that are driven from outside.
        is_run_again: whether the program runs such an entry by itself, as a script does: to have one again, the program
            is run again. A process with such entries is no server.
        sealed: attributes in JSON, beside the headers of both sides, that may hold sealed secrets.
    """

    name: str
    reads: Callable[[Attributes], bool]
    facts: Callable[[Attributes], dict[str, Any]]
    needed: frozenset[str]
    texts: Callable[[Span], Texts]
    request: Side
    response: Side
    label: Callable[[Attributes], tuple[str | None, str | None]]
    follower: Callable[[Sequence[Outlined], Callable[[str], Lane | None], Claim], Follower]
    status: Callable[[Attributes], int | None] = lambda _attributes: None
    told: Callable[[Attributes], str] = lambda _attributes: ""
    outcome: Callable[[Attributes], object] | None = None
    is_run_again: bool = False
    sealed: frozenset[str] = frozenset()


finders: list[Callable[[], Iterable[EntryKind]]] = []
"""Functions that give the kinds there are; the door adds one."""


@cache
def known() -> Mapping[str, EntryKind]:
    """All kinds by name."""
    return {kind.name: kind for find in finders for kind in find()}


@cache
def sealed() -> frozenset[str]:
    """Attributes in JSON that may hold sealed secrets."""
    every = known().values()
    headers = (name for kind in every for side in (kind.request, kind.response) for name in side.headers.values())
    return frozenset(headers).union(*(kind.sealed for kind in every))


def named(name: str) -> EntryKind | None:
    """Give a kind by its name.

    Args:
        name: such as ``http``.
    """
    return known().get(name)


def label(attributes: Attributes) -> tuple[str | None, str | None]:
    """Give what a list shows of a recorded entry as method and target; None where it is not said.

    Args:
        attributes: of the entry's span.
    """
    kind = of(attributes)
    return (None, None) if kind is None else kind.label(attributes)


def is_run_again(name: str) -> bool:
    """Whether entries of a kind are run by their program itself, see :class:`EntryKind`.

    Args:
        name: of the kind.
    """
    kind = known().get(name)
    return kind is not None and kind.is_run_again


def of(attributes: Attributes) -> EntryKind | None:
    """Tell the kind of a recorded entry; None of a span that is none, or of which too little was kept.

    Args:
        attributes: of the entry's span, or of a part of it.
    """
    return next((kind for kind in known().values() if kind.reads(attributes)), None)
