"""Answering calls, inside the replayed app."""
