"""Recorded tests for pytest: which cassette a test has, what its mode means, what fails it.

``pytest_timetracer`` holds the hooks, and imports this with the first test that asks for a cassette.
"""

from timetracer_otel.pytest_plugin.running import Run
from timetracer_otel.pytest_plugin.sessions import Session

__all__ = ["Run", "Session"]
