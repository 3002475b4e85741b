"""What MariaDB's client library in C tells reaches the connection that it is of, once."""

from __future__ import annotations

import ctypes
import threading
import time
from types import SimpleNamespace
from typing import Any

import pytest

from timetracer_otel.families.mysql import client_library

READS, WRITES = 0, 1


class Listener:
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.told: list[bytes] = []

    def sent(self, data: bytes) -> None:
        """Take it."""
        self.told.append(data)

    received = sent


def test_threads_that_connect_first_at_once_register_one_function(monkeypatch: pytest.MonkeyPatch) -> None:
    """With two, the library told everything twice; with none yet, a thread that goes on is told nothing, ever."""
    registered: list[int] = []
    found: list[int] = []

    def load(_name: str) -> Any:
        time.sleep(0.02)  # the other threads come meanwhile

        def tells(mode: int, _function: object) -> None:
            time.sleep(0.02)
            registered.append(mode)

        return SimpleNamespace(ma_pvio_register_callback=tells)

    monkeypatch.setattr(client_library, "_registered", [])
    monkeypatch.setattr(ctypes, "CDLL", load)
    module = SimpleNamespace(__file__="of C")

    def connect(after: float) -> None:
        time.sleep(after)
        assert client_library.listens(module)
        found.append(len(registered))

    threads = [threading.Thread(target=connect, args=(after,)) for after in (0.0, 0.0, 0.03)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (registered, found) == ([1], [1, 1, 1])


def test_a_connection_at_the_address_of_one_that_was_freed_has_its_own_listener(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The program may hold the closed one still when another thread connects."""
    monkeypatch.setattr(client_library, "_listeners", {})
    closed, new = Listener(), Listener()
    for listener, greeting in ((closed, b"one"), (new, b"two")):
        client_library.connecting.listener = listener
        buffer = ctypes.create_string_buffer(greeting, len(greeting))
        for mode in (READS, WRITES):
            client_library._passes(mode, 4711, ctypes.addressof(buffer), len(greeting), lambda: False)
        assert client_library.connecting.listener is None
    assert (closed.told, new.told) == ([b"one"] * 2, [b"two"] * 2)
