"""The cassette that a replaying process answers from: its launcher has looked through it, or the settings name it."""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import Final

from timetracer_otel.cassette import scratch, shelf, storage
from timetracer_otel.config import Settings
from timetracer_otel.errors import CassetteError
from timetracer_otel.replay import variables

__all__ = ["loaded_shelf"]

_HELD: Final = 256
"""Calls of one stream that are held: a subscriber is told any number of messages, a program has few such streams."""
_log = logging.getLogger("timetracer_otel")


def loaded_shelf(settings: Settings) -> shelf.Shelf:
    """Load it; cassettes that cannot be read are left out and logged.

    Args:
        settings: with the cassette to replay.

    Raises:
        CassetteError: it cannot be found, or nothing of it can be read.
    """
    if (file := os.environ.get(variables.CATALOG)) is not None:
        return shelf.Shelf(shelf.read_catalog(Path(file)).as_replayed(), opened=True, held=_HELD)
    left_out: list[CassetteError] = []
    try:
        files = storage.find([settings.cassette], settings.dir, left_out=left_out)
        found = shelf.Shelf(shelf.catalog(files, left_out).as_replayed(), opened=True, held=_HELD)
    finally:
        scratch.discard()  # the shelf has it open; an app that is killed would leave it behind
    for error in left_out:
        _log.warning("a cassette is left out of the replay: %s", error)
    return found
