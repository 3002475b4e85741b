"""Comparing what was recorded with what is now; ``timetracer diff`` uses it too."""
