"""Clocks, ids and random values: noted for the lane that draws them, and given back to the lane that follows it."""

from timetracer_otel.nondeterminism.draws import Given, Noted, attributes, give, note
from timetracer_otel.nondeterminism.patching import install, uninstall
from timetracer_otel.nondeterminism.recorded import Index

__all__ = ["Given", "Index", "Noted", "attributes", "give", "install", "note", "uninstall"]
