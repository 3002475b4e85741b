# ruff: noqa: INP001 - no package: Python finds it by its name, in a folder of its own
"""The site module of a child that would not find OpenTelemetry's: see :mod:`timetracer_otel.seams.children`."""

from timetracer_otel.seams.booting import boot

boot()
