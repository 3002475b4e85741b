"""Where a statement stands: on which connection, in which transaction, of which database."""

from __future__ import annotations

import json
from functools import lru_cache
from typing import NamedTuple

__all__ = ["Place", "peer_of"]


class Place(NamedTuple):
    """Where a call stands on its connection.

    Attributes:
        connection: an id of it.
        transaction: the number of the transaction on it, which the call is in or may open.
        inside: whether that had begun before.
        wrote: whether it had written before.
        peer: the server and the database.
    """

    connection: str = ""
    transaction: int = 0
    inside: bool = False
    wrote: bool = False
    peer: str = ""

    def encoded(self) -> str:
        """Give it as JSON."""
        connection, peer = _quoted(self.connection), _quoted(self.peer)
        inside, wrote = "true" if self.inside else "false", "true" if self.wrote else "false"
        return f"[{connection}, {self.transaction}, {inside}, {wrote}, {peer}]"


_quoted = lru_cache(maxsize=256)(json.dumps)


def peer_of(address: tuple[str, int | None], database: str) -> str:
    """Name a database of a server.

    Args:
        address: of the server: host and port; a path and None.
        database: its name.
    """
    host, port = address
    return f"{host}/{database}" if port is None else f"{host}:{port}/{database}"
