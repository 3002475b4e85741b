"""What a peer that is not there says: bytes, a wait, its end, an error; one dialogue for every transport."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Final, Generic, TypeAlias, TypeVar

__all__ = ["END", "Dialogue", "End", "Fail", "Reply", "Said", "Say", "Wait"]

Said = TypeVar("Said")
"""What a peer says: bytes of its protocol; whole messages where a driver takes those."""


@dataclass(frozen=True, slots=True)
class Wait:
    """Nothing comes for a while.

    Args:
        seconds: how long; None for ever, or until something is said that nothing asked for.
        look: called now and then by a transport that blocks a thread meanwhile; it may raise.
    """

    seconds: float | None
    look: Callable[[], object] | None = None


@dataclass(frozen=True, slots=True)
class End:
    """The peer says nothing more: it has closed its side."""


@dataclass(frozen=True, slots=True)
class Fail:
    """The connection breaks where the client waits.

    Args:
        make: gives the exception, when it is raised: the objects that it holds may not be known before. What it raises
            is raised in its place.
    """

    make: Callable[[], BaseException]


END: Final = End()

Reply: TypeAlias = Said | Wait | End | Fail
Say: TypeAlias = Callable[[Reply[Said] | Iterator[Reply[Said]]], None]
"""What an iterator gives is taken piece by piece, as the client reads."""


class Dialogue(ABC, Generic[Said]):
    """How a peer answers on one connection. It knows its protocol and the recording, but neither sockets nor loops.

    What a method does before it returns runs in the context of who calls it: there calls are matched. What it gives may
    be a generator, which then goes on when the client reads. Each piece that it says arrives by itself.
    """

    def greet(self, say: Say[Said]) -> Iterable[Reply[Said]]:
        """Begin: what the peer says before it is asked.

        Args:
            say: says something that nothing on this connection asks for, now or at any time, from any thread.
        """
        return ()

    @abstractmethod
    def feed(self, data: bytes) -> Iterable[Reply[Said]]:
        """Take what the client sends, which may be a part of a request or several; give what the peer answers.

        Args:
            data: all that was sent at once.

        Raises:
            Exception: a miss, or what sending raised.
        """

    def awaited(self) -> Iterable[Reply[Said]]:
        """Say what comes when the client waits and nothing is to come; without an answer it is told that time is up."""
        return ()

    def shut(self) -> Iterable[Reply[Said]]:
        """Take that the client sends nothing more, though it reads."""
        return (END,)

    def close(self) -> None:
        """Take that the client has closed the connection."""
