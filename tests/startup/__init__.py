"""The ways in which a recording begins."""
