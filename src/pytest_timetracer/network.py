"""Tests without a network: Python's sockets refuse to connect, as pytest-recording has it."""

from __future__ import annotations

import re
import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final

import pytest

__all__ = ["NetworkBlockedError", "blocked", "without_recording"]

_METHODS: Final = ("connect", "connect_ex", "sendto")


class NetworkBlockedError(RuntimeError):
    """A test tried to connect. No OSError: code that copes with networks that fail should not cope with this."""


def without_recording(config: pytest.Config, item: pytest.Item | None = None) -> Sequence[str] | None:
    """Give the patterns of hosts that a test may reach; None where connections are not refused, or not by us.

    Args:
        config: of the run.
        item: the test; None to ask whether connections may be refused at all.
    """
    if not hasattr(config.option, "block_network") or config.pluginmanager.has_plugin("recording"):
        return None
    marker = None if item is None else item.get_closest_marker("block_network")
    if item is not None and marker is None and not config.option.block_network:
        return None
    hosts = (marker.kwargs.get("allowed_hosts") if marker is not None else None) or config.option.allowed_hosts or ()
    return hosts.split(",") if isinstance(hosts, str) else list(hosts)


@contextmanager
def blocked(allowed: Sequence[str], *, while_: Callable[[], bool]) -> Iterator[None]:
    """Refuse connections in the block.

    Args:
        allowed: regular expressions of hosts that may be reached.
        while_: whether it is in force now; not while a test is recorded.
    """
    patterns = [re.compile(pattern) for pattern in allowed]

    def refused(address: object) -> bool:
        host = str(address[0]) if isinstance(address, tuple) and address else None
        return host is not None and while_() and not any(pattern.fullmatch(host) for pattern in patterns)

    with pytest.MonkeyPatch.context() as patch:
        for name in _METHODS:
            patch.setattr(socket.socket, name, _around(getattr(socket.socket, name), refused))
        yield


def _around(original: Any, refused: Callable[[object], bool]) -> Any:
    def method(self: socket.socket, *args: Any) -> Any:
        address = args[-1] if args else None
        if refused(address):
            raise NetworkBlockedError(
                f"Network is disabled: {original.__name__} to {address}; see --block-network and --allowed-hosts"
            )
        return original(self, *args)

    return method
