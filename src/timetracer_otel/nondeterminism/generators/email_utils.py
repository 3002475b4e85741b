"""email.utils: ids of messages, in which the number of the process stands; Django's mails have one too."""

from __future__ import annotations

from timetracer_otel.seams import Generator

__all__ = ["GENERATORS"]

GENERATORS = (Generator("email.utils", "make_msgid", "uuid"),)
