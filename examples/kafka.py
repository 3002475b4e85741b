"""A Kafka of one's own for an example: ``kfake``, one broker in memory, where it is at hand."""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from examples.asking import Answer, Script
from examples.support import Program, accepts, free_port

__all__ = ["Consumer", "program", "running"]

NOWHERE: Final = "127.0.0.1:1"
_BUILT: Final = Path(__file__).parents[1] / ".cache" / "kfake"


def program() -> str | None:
    """Give kfake's path: from PATH, else what ``scripts/install-kfake`` has built; None where it is neither."""
    built = sorted(_BUILT.glob("kfake-*"), key=lambda file: file.stat().st_mtime)
    return shutil.which("kfake") or (str(built[-1]) if built else None)


@contextmanager
def running(binary: str) -> Iterator[str]:
    """Run a broker without data; give its address.

    Args:
        binary: kfake's path.

    Raises:
        RuntimeError: it ended.
    """
    port = free_port()
    with subprocess.Popen([binary, str(port)]) as process:
        try:
            while not accepts(port):
                if process.poll() is not None:
                    raise RuntimeError(f"{binary} ended with status {process.returncode}")
                time.sleep(0.02)
            yield f"127.0.0.1:{port}"
        finally:
            process.terminate()


@dataclass(frozen=True)
class Consumer(Script):
    """A program that takes messages, put there by ``orders.py`` beside it. In a replay there is no broker."""

    def answers(self, prefix: Sequence[str], env: Mapping[str, str], log: Path) -> list[Answer]:
        """As :meth:`Example.answers`."""
        if prefix[0] == "timetracer-replay":
            return super().answers(prefix, {**env, "KAFKA": NOWHERE}, log)
        with running(program() or "kfake") as address:
            settings = {**env, "KAFKA": address}
            with Program(("python", "orders.py"), log=log, env=settings, cwd=self.folder) as filling:
                filling.wait()
            return super().answers(prefix, settings, log)
