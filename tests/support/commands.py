"""Commands that tests start, by the interpreter that runs the tests."""

from __future__ import annotations

import sys
from typing import Final

__all__ = ["OTEL", "REPLAY", "TIMETRACER"]

OTEL: Final = (sys.executable, "-c", "from opentelemetry.instrumentation.auto_instrumentation import run; run()")
"""``opentelemetry-instrument``, of which ``PATH`` may have another."""
REPLAY: Final = (sys.executable, "-c", "from timetracer_otel.replay.launcher import run; run()")
"""``timetracer-replay``, likewise."""
TIMETRACER: Final = (sys.executable, "-c", "from timetracer_otel.cli.main import run; run()")
"""``timetracer``, likewise."""
