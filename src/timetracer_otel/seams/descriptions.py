"""What a call asks, in the form in which recorded and live calls are compared."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, Final, TypeAlias, TypeVar

__all__ = ["Deferred", "Description", "Value"]

Value: TypeAlias = bytes
"""A value that an app may generate anew in each run (an id, a time): a type tag and the raw bytes."""

Template = TypeVar("Template", Value, Value | None)
"""A value, or None where any may stand."""


@dataclass(frozen=True, slots=True, eq=False)
class Description:
    """A call's question, in the form in which recorded and live calls are compared.

    Args:
        key: the readable address: system, namespace, operation, collection …
        shape: digest of everything asked, volatile fields left out and ``values`` blanked.
        values: the blanked values, in order.
        read: whether the call changes nothing, so that its answer may serve another lane.
        preference: digest of what tells calls apart that are otherwise alike (for whom it is), where it may differ
            without making another call; empty when there is nothing of the kind. Alike calls with the same one match
            first.
        unordered: where ``values`` are those of a list whose order means nothing: the first one's index, the number of
            items, and of the values in each.
        subjects: what it reads or writes, from the general to the special (system, namespace, collection); none when it
            touches no data, None when its family does not say. A write concerns a read when one of their subjects
            begins with the other.
        settles: whether each process asks it when it first needs what the call makes, such as an index, and is told the
            same however often it is asked: which request comes first is chance.
        probe: whether an app may ask it more or less often, such as whether a connection lives, which pools ask of one
            that has waited, and of no new one.
        kept_twice: whether it is in its lane and in the session, see :mod:`first_needs`, and answers as often as it was
            recorded.
        peer: who is asked, where the app may have another name for the same one in another run; it stands in the key
            and the subjects. Empty where it may not.
    """

    key: tuple[str, ...]
    shape: bytes
    values: tuple[Value, ...]
    read: bool
    preference: bytes = b""
    unordered: tuple[tuple[int, int, int], ...] = ()
    subjects: tuple[tuple[str, ...], ...] | None = None
    settles: bool = False
    probe: bool = False
    kept_twice: bool = False
    peer: str = ""

    @property
    def same(self) -> tuple[object, ...]:
        """What is equal of two calls that ask the same to the byte; their descriptions are then equal too."""
        return (self.key, self.shape, self.sorted(self.values))

    def at(self, peer: str) -> Description:
        """The same, asked of another peer.

        Args:
            peer: who.
        """
        key, *subjects = (
            tuple(peer if part == self.peer else part for part in parts) for parts in (self.key, *(self.subjects or ()))
        )
        return replace(self, key=key, peer=peer, subjects=self.subjects and tuple(subjects))

    @property
    def concerns(self) -> tuple[tuple[str, ...], ...]:
        """The subjects; where the family does not say, all of its system."""
        return (self.key[:1],) if self.subjects is None else self.subjects

    def sorted(self, values: tuple[Template, ...]) -> tuple[Template, ...]:
        """Sort values that stand in this description's place, where their order means nothing.

        Args:
            values: as many as it has; None for those that may be any.
        """
        if not self.unordered:
            return values
        ordered = list(values)
        for start, count, width in self.unordered:
            items = [values[at : at + width] for at in range(start, start + count * width, width)]
            items.sort(key=lambda item: [value or b"" for value in item])
            ordered[start : start + count * width] = [value for item in items for value in item]
        return tuple(ordered)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Description):
            return NotImplemented
        alike = (self.key, self.shape, self.read, self.unordered) == (
            other.key,
            other.shape,
            other.read,
            other.unordered,
        )
        return alike and self.sorted(self.values) == other.sorted(other.values)

    def __hash__(self) -> int:
        return hash((self.key, self.shape, self.sorted(self.values)))

    @property
    def identity(self) -> int:
        """Hash of all that two reads have in common of which one may answer for the other: also for whom they ask."""
        return hash((self.key, self.shape, self.sorted(self.values), self.preference))


_LATE: Final = frozenset({"shape", "values", "unordered"})


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Deferred(Description):
    """A description whose larger part is made when somebody needs it.

    Most calls of a replay are to the byte what was recorded; so those need none, and a session of thousands of large
    documents is not gone through before the program starts.

    Args:
        same: as :attr:`Description.same`, by a digest of what was asked as it was sent, without what a library adds.
        whole: gives the description.
    """

    same: tuple[object, ...]
    whole: Callable[[], Description]
    shape: bytes = field(init=False)
    values: tuple[Value, ...] = field(init=False)
    unordered: tuple[tuple[int, int, int], ...] = field(init=False)

    def __getattr__(self, name: str) -> Any:
        """Make what is not there yet."""
        if name not in _LATE:
            raise AttributeError(name)
        whole = self.whole()
        for late in _LATE:
            object.__setattr__(self, late, getattr(whole, late))
        return getattr(whole, name)

    def at(self, peer: str) -> Description:
        """The same, asked of another peer."""
        return self.whole().at(peer)
