"""Under OpenTelemetry's launcher the instrumentors of libraries are loaded when the program imports these."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from tests.support.commands import OTEL

PROGRAM = """
import json, sys

def instrumented(library):
    return f"opentelemetry.instrumentation.{library}" in sys.modules

libraries = ("redis", "flask", "pymongo", "celery")
found = {"at first": [library for library in libraries if library in sys.modules or instrumented(library)]}
from opentelemetry.instrumentation.redis import RedisInstrumentor  # before its library
import flask
class App(flask.Flask):
    pass
found["later"] = [library for library in libraries if instrumented(library)]
found["redis"] = RedisInstrumentor().is_instrumented_by_opentelemetry
found["app"] = App("app")._is_instrumented_by_opentelemetry
found["threads"] = "opentelemetry.instrumentation.threading" in sys.modules
json.dump(found, sys.stdout)
"""


def test_what_a_program_does_not_import_is_not_loaded(tmp_path: Path) -> None:
    """Neither a library nor its instrumentor; what it imports is instrumented, whichever of the two comes first."""
    command = [*OTEL, "--traces_exporter", "timetracer", sys.executable, "-c", PROGRAM]
    environ = {**os.environ, "TIMETRACER_DIR": str(tmp_path), "OTEL_PYTHON_DISABLED_INSTRUMENTATIONS": ""}
    done = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=60, check=False)
    assert done.stderr == ""
    assert json.loads(done.stdout) == {
        "at first": [],
        "later": ["redis", "flask"],
        "redis": True,
        "app": True,
        "threads": True,
    }
