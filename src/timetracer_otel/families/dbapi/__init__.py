"""Databases behind Python's DB-API whose bytes nobody sees: statements and rows as typed values, lossless."""
