"""What only one process of a replay may have: each takes it in a file that all of them know."""

from __future__ import annotations

import os
from hashlib import blake2b
from itertools import count
from pathlib import Path
from typing import Final

from timetracer_otel.seams.lanes import process

__all__ = ["Claims"]

_DIGEST: Final = 16
_RECORD: Final = _DIGEST + 8
_FLAGS: Final = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
_open, _write, _pread, _close = os.open, os.write, os.pread, os.close  # before anything looks at what the app does

_numbers: Final = count()


class Claims:
    """Names that are taken. A file for each would cost more than all else that a replay does for a request.

    A process appends its claim and reads what was appended since: the first claim to a name holds. The file is opened
    for each, because an app may close every descriptor that it does not know.

    Args:
        folder: the launcher's.
    """

    def __init__(self, folder: Path) -> None:
        self._file = str(folder / "claims")
        self._read = 0
        self._holders: dict[bytes, bytes] = {}

    def take(self, name: str) -> bool:
        """Take a name.

        Args:
            name: any text.

        Returns:
            Whether this is the first claim to it.
        """
        digest = blake2b(name.encode("utf-8", "surrogatepass"), digest_size=_DIGEST).digest()
        if digest in self._holders:
            return False
        claimant = process.id.to_bytes(4, "little") + (next(_numbers) & 0xFFFFFFFF).to_bytes(4, "little")
        file = _open(self._file, _FLAGS, 0o600)
        try:
            _write(file, digest + claimant)
            self._read_on(file)
        finally:
            _close(file)
        return self._holders.get(digest) == claimant

    def _read_on(self, file: int) -> None:
        """Read the claims of all; another thread that does so at the same time finds the same holders."""
        at = self._read
        while records := _pread(file, _RECORD * 1024, at):
            whole = len(records) - len(records) % _RECORD
            for start in range(0, whole, _RECORD):
                middle = start + _DIGEST
                self._holders.setdefault(records[start:middle], records[middle : start + _RECORD])
            at += whole
            if not whole:
                break
        self._read = max(self._read, at)
