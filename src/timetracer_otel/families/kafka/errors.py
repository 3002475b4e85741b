"""What a client's method raised, made again: some exceptions hold an object of the library."""

from __future__ import annotations

import json
from typing import Final

from timetracer_otel import spans
from timetracer_otel.cassette.model import Span
from timetracer_otel.errors import CassetteError
from timetracer_otel.families.kafka.values import Forms
from timetracer_otel.seams import Call, Responder, exceptions

__all__ = ["note", "of"]

HELD: Final = "timetracer.kafka.error"
"""The objects of the library that an exception holds, in JSON."""


def note(call: Call, error: BaseException, forms: Forms) -> None:
    """Keep an exception with a call.

    Args:
        call: that raised it.
        error: it.
        forms: of the library.
    """
    held = [one for one in error.args if type(one).__name__ in forms.fields]
    if held:
        call.attributes[HELD] = json.dumps([forms.plain(one) for one in held])
    call.fail(error)


def of(responder: Responder, span: Span, forms: Forms) -> BaseException | None:
    """Give what a recorded call raised; None when it raised nothing.

    Args:
        responder: counts a miss when it cannot be made again.
        span: the call.
        forms: of the library.

    Raises:
        ReplayMiss: it cannot be made again.
    """
    error = span.text(spans.ERROR)
    if error is None:
        return None
    held = [forms.made(one) for one in json.loads(span.text(HELD) or "[]")]
    try:
        return exceptions.rebuilt(error, held)
    except CassetteError as cause:
        responder.refuse(str(cause))
