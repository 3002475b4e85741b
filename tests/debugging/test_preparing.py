"""What the runs of an entry have in common is done before the first."""

from __future__ import annotations

import subprocess
import sys

SHOWN = """
import sys, anyio
from timetracer_otel.debugging.preparing import prepare
prepare()
before = set(sys.modules)
from _pydevd_bundle.pydevd_xml import get_type
get_type({})                            # as for the first variables
anyio.run(anyio.to_thread.run_sync, int)  # as for the first endpoint in a thread
print(sorted(name for name in set(sys.modules) - before if name.startswith(("django", "anyio", "_pydevd"))))
"""


def test_a_run_imports_neither_the_debuggers_types_nor_anyios_threads() -> None:
    """Neither the first variables that are shown nor the first endpoint in a thread loads a module."""
    shown = subprocess.run([sys.executable, "-c", SHOWN], capture_output=True, text=True, check=True)
    assert shown.stdout == "[]\n"
