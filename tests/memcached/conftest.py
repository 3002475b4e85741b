"""A Memcached server, started when a test needs it."""

from __future__ import annotations

import getpass
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

import pytest

from examples.support import accepts, free_port

if sys.version_info >= (3, 12) and find_spec("pylibmc") is None:  # no wheels: whoever has built it can try it
    collect_ignore = ["test_apps.py", "test_pylibmc.py"]


@contextmanager
def serving(*options: str) -> Iterator[int]:
    """Run a server; give its port. Debian's package is ``memcached``."""
    port = free_port()
    command = ["memcached", "-u", getpass.getuser(), "-l", "127.0.0.1", "-p", str(port), *options]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as process:
        try:
            while not accepts(port):
                assert process.poll() is None, "memcached ended"
                time.sleep(0.02)
            yield port
        finally:
            process.terminate()


@contextmanager
def serving_at(path: Path) -> Iterator[None]:
    """Run a server that listens at a path."""
    command = ["memcached", "-u", getpass.getuser(), "-s", str(path)]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as process:
        try:
            while not _accepts_at(path):
                assert process.poll() is None, "memcached ended"
                time.sleep(0.02)
            yield
        finally:
            process.terminate()


def _accepts_at(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as sock:
        return sock.connect_ex(str(path)) == 0


@pytest.fixture
def memcached() -> Iterator[int]:
    """The port of a server that runs as long as the test."""
    with serving() as port:
        yield port
