"""Connections that reach nowhere: a dialogue says what a peer answers, a transport stands in for a driver's own."""

from timetracer_otel.families.nowhere.dialogue import END, Dialogue, End, Fail, Reply, Say, Wait
from timetracer_otel.families.nowhere.peer import Peer

__all__ = ["END", "Dialogue", "End", "Fail", "Peer", "Reply", "Say", "Wait"]
