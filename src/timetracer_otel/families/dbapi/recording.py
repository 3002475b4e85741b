"""One call of a database while it is recorded: its span, what it asks, and the rows as the app fetches them."""

from __future__ import annotations

from collections.abc import Callable

from opentelemetry.instrumentation.utils import is_instrumentation_enabled

from timetracer_otel import seams, spans
from timetracer_otel.families.dbapi import asking, told, typed
from timetracer_otel.families.dbapi.asking import Asked
from timetracer_otel.families.dbapi.told import Told
from timetracer_otel.seams import Call, exceptions, faults

__all__ = ["OperationRecording", "begin"]


def begin(plugin: str, asked: Asked) -> OperationRecording | None:
    """Begin to record a call; None when nothing is recorded here. A fault of ours is reported, not raised.

    Args:
        plugin: the integration's name.
        asked: what is asked; it is encoded when the call is written.
    """
    try:
        if seams.active() is None or not is_instrumentation_enabled():
            return None
        call = seams.begin(plugin, lambda: _named(asked))
        return None if call is None else OperationRecording(call, plugin, asked)
    except Exception as error:  # noqa: BLE001 - recording never breaks the app
        faults.report(f"{plugin}.begin", error)
        return None


def _named(asked: Asked) -> tuple[str, dict[str, spans.Attribute]]:
    """Name a span of ours by the semantic conventions."""
    one = asked.outline
    verb = one.verb or asked.operation.upper()
    attributes: dict[str, spans.Attribute] = {"db.system.name": asked.system, "db.operation.name": verb}
    if asked.database:
        attributes["db.namespace"] = asked.database
    if asked.sql:
        attributes["db.query.text"] = asked.sql
    if one.target:
        attributes["db.collection.name"] = one.target
    return f"{verb} {one.target}" if one.target else verb, attributes


class OperationRecording:
    """A call under way.

    Args:
        call: the span, and what waits beside it.
        plugin: the integration's name.
        asked: what is asked.
    """

    __slots__ = ("_plugin", "call", "exhausted", "over", "told")

    def __init__(self, call: Call, plugin: str, asked: Asked) -> None:
        self.call = call
        self.told = Told()
        self.over = False
        self.exhausted: Callable[[], bool] = lambda: False
        """Whether the app is known to have all rows although nobody said so."""
        self._plugin = plugin
        call.payloads.append((asking.encode, spans.REQUEST, asked))

    def answered(self) -> None:
        """The operation is done; of its rows, if it has any, the app has none yet."""
        try:
            self.call.payloads.append((told.encode, spans.RESPONSE, self.told))
            if self.told.columns is None:
                self._end()
                return
            self.told.ended = False
            self.call.under_way = self
            self.call.attributes[spans.INCOMPLETE] = "response"
            if self.call.own and self.call.on_span:
                return  # it takes the rows too
            self.call.complete()
            if self.call.own:
                self.call.span.end()
        except Exception as error:  # noqa: BLE001 - recording never breaks the app
            self._fault(error)

    def failed(self, error: BaseException) -> None:
        """Take the exception that ended the operation.

        Args:
            error: as the database's module raised it.
        """
        try:
            self.call.payloads.append((told.encode, spans.RESPONSE, self.told))
            self.call.fail(error)
            self._end()
        except Exception as fault:  # noqa: BLE001 - recording never breaks the app
            self._fault(fault)

    def fetching_failed(self, error: BaseException) -> None:
        """Take the exception that fetching raised. Whether there are rows behind it, the next fetch says."""
        try:
            self.told.rows.append(typed.Failed(exceptions.encoded(error)))
        except Exception as fault:  # noqa: BLE001 - recording never breaks the app
            self._fault(fault)

    def finish(self, *, ended: bool) -> None:
        """The app fetches no more rows.

        Args:
            ended: whether there are none left.
        """
        if self.over:
            return
        try:
            self.told.ended = ended
            call = self.call
            call.attributes.pop(spans.INCOMPLETE, None)
            self._end()
        except Exception as error:  # noqa: BLE001 - recording never breaks the app
            self._fault(error)

    def catch_up(self) -> None:
        """See whether these are all rows: the call is about to be encoded."""
        if not self.over and self.exhausted():
            self.told.ended = True

    def abandoned(self) -> None:
        """The process ends."""
        self.finish(ended=self.exhausted())

    def _end(self) -> None:
        self.over = True
        self.call.end()

    def _fault(self, error: Exception) -> None:
        self.over = True
        self.call.lose(f"{self._plugin}.record", error)
