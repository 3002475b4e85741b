"""What servers of one's own have in common: they run while a block does, as a user who is not root."""

from __future__ import annotations

import pwd
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Protocol, TypeVar

__all__ = ["Server", "kept_running", "unprivileged"]


class Server(Protocol):
    """Runs from ``start`` to ``stop``."""

    def start(self) -> None:
        """Serve."""
        ...

    def stop(self) -> None:
        """End, if it has not ended."""
        ...

    def remove(self) -> None:
        """Leave nothing behind."""
        ...


_S = TypeVar("_S", bound=Server)


@contextmanager
def kept_running(server: _S) -> Iterator[_S]:
    """Run a server, which may be stopped meanwhile.

    Args:
        server: that nobody else uses.
    """
    try:
        server.start()
        yield server
    finally:
        server.stop()
        server.remove()


def unprivileged(*names: str) -> pwd.struct_passwd:
    """Give a user that may run a server which refuses root.

    Args:
        names: of users, the best one first.

    Raises:
        FileNotFoundError: none of them is here.
    """
    for name in names:
        with suppress(KeyError):
            return pwd.getpwnam(name)
    raise FileNotFoundError(f"none of the users that may run the server is here: {', '.join(names)}")
