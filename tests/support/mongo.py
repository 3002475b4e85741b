"""A MongoDB stand-in (SecantusDB) in a process of its own: the one that the demo uses."""

from __future__ import annotations

from examples.support import MongoServer, free_port

__all__ = ["MongoServer", "free_port"]
