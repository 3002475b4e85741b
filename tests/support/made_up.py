"""Libraries that nobody has heard of, installed in a folder as any package is."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

__all__ = ["install", "run"]


def install(folder: Path, name: str, library: str, declaration: str) -> None:
    """Install a library with what declares it: one file, and the metadata of any package.

    Args:
        folder: of the program.
        name: of the library.
        library: its source.
        declaration: the source of the module that declares it to timetracer.
    """
    (folder / f"{name}.py").write_text(library)
    (folder / f"timetracer_{name}.py").write_text(declaration)
    info = folder / f"{name}-7.1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 7.1\n")
    (info / "entry_points.txt").write_text(f"[timetracer_otel.integrations]\n{name} = timetracer_{name}\n")


def run(folder: Path, *command: str, **env: str) -> subprocess.CompletedProcess[str]:
    """Run a command where libraries are installed.

    Args:
        folder: see :func:`install`.
        command: to run there.
        env: added to the environment.
    """
    path = os.pathsep.join(filter(None, (str(folder), os.environ.get("PYTHONPATH"))))
    environment = {**os.environ, "PYTHONPATH": path, **env}
    return subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=120, check=False
    )
