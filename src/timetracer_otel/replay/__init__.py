"""Replay: a live lane follows a recorded one, and its calls are answered from there."""
