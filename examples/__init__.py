"""Apps to record and replay, and the demo that does it."""
