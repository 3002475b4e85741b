"""Verifying a replay, from outside the replayed app."""
