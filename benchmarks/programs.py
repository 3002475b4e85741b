"""Programs that are measured, each a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Mapping, Sequence
from typing import Any, Final

__all__ = ["NO_EXPORTERS", "ended", "measured"]

NO_EXPORTERS: Final = {
    "OTEL_TRACES_EXPORTER": "none", "OTEL_METRICS_EXPORTER": "none", "OTEL_LOGS_EXPORTER": "none",
}  # fmt: skip
"""OpenTelemetry's spans are made, and leave by nothing."""


def ended(command: Sequence[str], env: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    """Run a program to its end.

    Args:
        command: with its arguments.
        env: added to the environment.

    Raises:
        SystemExit: it failed.
    """
    result = subprocess.run(command, env={**os.environ, **env}, capture_output=True, text=True, check=False)
    if result.returncode:
        raise SystemExit(f"{' '.join(command)} failed:\n{result.stdout}{result.stderr}")
    return result


def measured(command: Sequence[str], env: Mapping[str, str]) -> Any:
    """Run a program, and give what its last line says as JSON; see :func:`ended`."""
    return json.loads(ended(command, env).stdout.splitlines()[-1])
