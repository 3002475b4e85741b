"""The values that a lane's entry brought: these are not fresh, they must be equal."""

from __future__ import annotations

from functools import cached_property
from typing import Final
from urllib.parse import unquote_plus

from timetracer_otel.cassette import kinds, model
from timetracer_otel.cassette.kinds import Texts
from timetracer_otel.seams import Value, value_forms, values

__all__ = ["Brought", "by_lane"]

_SEARCHED: Final = 256 * 1024
"""Bytes of an entry in which each value is searched for; the values of a longer one are looked up."""


class Brought:
    """The texts of an entry, asked for values.

    Args:
        texts: what it brought, as far as it is read.
    """

    def __init__(self, texts: Texts) -> None:
        self._head, self._body = texts

    def __contains__(self, value: Value) -> bool:
        if any(form in text for text in self._searched for form in value_forms.written(value)):
            return True
        return len(self._body) > _SEARCHED and not self._looked_up.isdisjoint(value_forms.known_by(value))

    @cached_property
    def _searched(self) -> list[bytes]:
        texts = [text.encode("utf-8", "surrogateescape") for text in self._head]
        if len(self._body) > _SEARCHED:
            return texts
        return [*texts, self._body, unquote_plus(self._body.decode("latin-1")).encode("latin-1", "replace")]

    @cached_property
    def _looked_up(self) -> frozenset[Value]:
        text = self._body.decode("utf-8", "replace")
        if "%" in text:  # a form
            text += "\n" + unquote_plus(text)
        return frozenset(key for value in values.found_in(text) for key in value_forms.known_by(value))


def by_lane(lane: model.Lane) -> Brought:
    """Give the texts that a recorded entry brought; none where the lane has no entry of a kind that we know.

    Args:
        lane: recorded.
    """
    kind = None if lane.entry is None else kinds.of(lane.entry.attributes)
    return Brought(Texts() if kind is None or lane.entry is None else kind.texts(lane.entry))
