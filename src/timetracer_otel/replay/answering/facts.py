"""What the recorded calls of one integration say beside questions and answers, by the names of attributes."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Iterator
from itertools import islice
from typing import Final

from timetracer_otel import spans
from timetracer_otel.cassette import model

__all__ = ["SEARCHED", "Facts"]

SEARCHED: Final = 1000
"""Calls of which all different facts are looked up: a cassette may hold a million, and they mostly agree."""


class Facts:
    """Remembers what it has looked up.

    Args:
        plugin: the integration's name.
        all_calls: gives every recorded call.
    """

    def __init__(self, plugin: str, all_calls: Callable[[], Iterable[model.Span]]) -> None:
        self._plugin = plugin
        self._all_calls = all_calls
        self.known: dict[str, str | None] = {}
        """What :meth:`first` gives, as far as it was looked up."""
        self._all: dict[str, list[str]] = {}
        self._one_of_each: dict[str, dict[str | None, model.Span]] = {}

    def _ours(self, calls: Iterable[model.Span]) -> Iterator[model.Span]:
        return (span for span in calls if span.text(spans.PLUGIN) == self._plugin)

    def first(self, name: str) -> str | None:
        """See :meth:`timetracer_otel.seams.Responder.facts`."""
        if name not in self.known:
            values = (span.attributes.get(name, span.resource.get(name)) for span in self._ours(self._all_calls()))
            self.known[name] = next((value for value in values if isinstance(value, str)), None)
        return self.known[name]

    def all(self, name: str) -> list[str]:
        """See :meth:`timetracer_otel.seams.Responder.all_facts`."""
        if name not in self._all:
            values = (span.text(name) for span in islice(self._ours(self._all_calls()), SEARCHED))
            self._all[name] = list(dict.fromkeys(value for value in values if value is not None))
        return self._all[name]

    def calls_with(
        self, name: str, value: str, near: Iterable[model.Span], used: Container[str]
    ) -> Iterator[model.Span]:
        """See :meth:`timetracer_otel.seams.Responder.recorded_with`.

        Args:
            name: of the attribute.
            value: of it.
            near: calls that come first.
            used: ids of those that were asked for.
        """
        found = [span for span in self._ours(near) if span.attributes.get(name) == value]
        yield from (span for span in found if span.span_id not in used)
        yield from (span for span in reversed(found) if span.span_id in used)
        if name not in self._one_of_each:
            every = self._ours(self._all_calls())
            self._one_of_each[name] = {span.text(name): span for span in every if name in span.attributes}
        if (other := self._one_of_each[name].get(value)) is not None:
            yield other
