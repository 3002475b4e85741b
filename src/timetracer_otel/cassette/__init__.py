"""Cassettes: recorded traces as OTLP JSON lines. Knows no library."""
