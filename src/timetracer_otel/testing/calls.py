"""The calls of a test, decoded for people, to assert on."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from timetracer_otel import seams, spans
from timetracer_otel.cassette.model import Span

__all__ = ["Call", "chosen", "seen"]


@dataclass(frozen=True, slots=True)
class Call:
    """One call of a test: a command of a database, an HTTP exchange, a published message.

    Attributes:
        system: such as ``mongodb``, ``http``, ``sqlite``.
        operation: such as ``find``, ``GET``.
        namespace: the database; empty where there is none.
        collection: the collection; empty where there is none.
        url: of an HTTP request; empty of anything else.
        address: all of it in one line.
        request: what was asked, as ``timetracer show`` has it: dictionaries, lists, texts and numbers.
        response: what was answered, likewise; None when nothing was.
        error: what was raised instead, None when nothing was.
        span: as it was recorded.
    """

    system: str
    operation: str
    namespace: str
    collection: str
    url: str
    address: str
    request: Any
    response: Any
    error: Any = None
    span: Span | None = field(default=None, repr=False, compare=False)

    @property
    def method(self) -> str:
        """The operation, by the name that it has in HTTP."""
        return self.operation


def seen(heard: Iterable[tuple[Span, object]]) -> list[Call]:
    """Give calls, decoded by their integrations; those that an integration takes for its own are left out.

    Args:
        heard: spans, and what was asked where that is known otherwise.
    """
    found = (_call(span, asked) for span, asked in heard)
    return [call for call in found if call is not None]


def _call(span: Span, asked: object) -> Call | None:
    integration = seams.integrations.get(span.text(spans.PLUGIN) or "")
    if integration is None or integration.describe is None:
        return None
    description = integration.describe(span)
    if description is None:
        return None
    shown = {} if integration.render is None else integration.render(span)
    request = shown.get("request") if asked is None else asked
    system, operation, namespace, collection, url = _address(span, description.key)
    return Call(
        system=system,
        operation=operation,
        namespace=namespace,
        collection=collection,
        url=url,
        address=" ".join(filter(None, description.key)),
        request=_without(request, integration.volatile),
        response=_without(shown.get("response"), integration.volatile),
        error=shown.get("error"),
        span=span,
    )


def _without(shown: Any, names: frozenset[str]) -> Any:
    """A side of a call without what its library adds to every one of them."""
    return {name: value for name, value in shown.items() if name not in names} if isinstance(shown, dict) else shown


def _address(span: Span, key: tuple[str, ...]) -> tuple[str, str, str, str, str]:
    """Give system, operation, namespace, collection and URL."""
    method = span.text(spans.HTTP_METHOD)
    if method is not None:
        return "http", method, "", "", span.text("url.full") or ""
    system, namespace, operation, collection = (*key, "", "", "", "")[:4]
    return span.text("db.system.name") or system, operation, namespace, collection, ""


def chosen(calls: Iterable[Call], wanted: dict[str, str]) -> list[Call]:
    """Give those of some calls whose attributes have the wanted values.

    Args:
        calls: in order.
        wanted: values by the names of attributes of :class:`Call`.

    Raises:
        TypeError: a call has no such attribute.
    """
    names = {"system", "operation", "method", "namespace", "collection", "url", "address"}
    unknown = sorted(set(wanted) - names)
    if unknown:
        raise TypeError(f"calls() cannot choose by {unknown[0]!r}; choose by {', '.join(sorted(names))}")
    return [one for one in calls if all(getattr(one, name) == value for name, value in wanted.items())]
