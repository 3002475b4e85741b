"""The tests of timetracer-otel."""
