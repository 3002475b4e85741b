"""An ordinary SpanExporter that writes cassettes: ``BatchSpanProcessor(CassetteSpanExporter(directory))``."""

from __future__ import annotations

import os
import threading
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
from opentelemetry.trace import SpanKind

from timetracer_otel import spans as names
from timetracer_otel.cassette import otlp, storage
from timetracer_otel.config import Compression
from timetracer_otel.exporters.host.secrets import hidden
from timetracer_otel.seams import faults, forks

__all__ = ["CassetteSpanExporter"]

_FILES_KEPT: Final = 4096
"""Lanes whose file is remembered. A span that comes after its lane was forgotten begins a second file of that lane,
which loads together with the first."""
_RESOURCES_KEPT: Final = 16
_METHODS: Final = ("http.request.method", "http.method")
_ROUTES: Final = ("http.route", "url.path", "http.target", "messaging.destination.name")


class CassetteSpanExporter(SpanExporter):
    """Writes each trace, or each lane where a recorder of ours named lanes, to a file of its own.

    The file is named after the SERVER or CONSUMER span that began the work. When only others have come so far, which is
    usual where spans are exported before their root has ended, it is named after the earliest of them, and keeps that
    name.

    Args:
        directory: the cassette directory; made when the first span is written.
        compression: none, gzip or zstd.
    """

    def __init__(self, directory: str | os.PathLike[str], compression: Compression = "none") -> None:
        self._directory = Path(directory)
        self._compression: Compression = compression
        self._files: OrderedDict[str, Path] = OrderedDict()
        self._resources: dict[int, tuple[Resource, bytes]] = {}
        self._lock = threading.Lock()
        forks.after_in_child(self._renew_lock)

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Write a batch of ended spans. It never raises: a fault is logged once.

        Args:
            spans: of any traces.

        Returns:
            FAILURE when any of them could not be written.
        """
        result = SpanExportResult.SUCCESS
        with self._lock:
            for lane_id, lane in _by_lane(spans).items():
                try:
                    self._write(lane_id, lane)
                except Exception as error:  # noqa: BLE001 - an exporter must not break the app
                    faults.report("exporter.cassette", error)
                    result = SpanExportResult.FAILURE
        return result

    def shutdown(self) -> None:
        """Do nothing: every batch is on disk when its export returns."""

    def force_flush(self, timeout_millis: int = 30000) -> bool:
        """Do nothing, as :meth:`shutdown`."""
        return True

    def _renew_lock(self) -> None:
        self._lock = threading.Lock()  # the thread that may have held it is not in a forked child

    def _write(self, lane_id: str, spans: list[ReadableSpan]) -> None:
        data = storage.compress(self._encoded(spans), self._compression)
        path = self._files.get(lane_id)
        if path is not None:
            self._files.move_to_end(lane_id)
            storage.append(path, data)
            return
        path = self._path(lane_id, spans)
        if path.exists():
            storage.append(path, data)
        else:
            storage.write_whole(path, data)
        self._files[lane_id] = path
        if len(self._files) > _FILES_KEPT:
            self._files.popitem(last=False)
        if not _is_session(lane_id, spans[0]):
            storage.point_latest(self._directory, path)

    def _encoded(self, spans: list[ReadableSpan]) -> bytes:
        """One line for each resource; a lane has one, but for spans that were made by hand."""
        by_resource: dict[int, list[ReadableSpan]] = {}
        for span in spans:
            by_resource.setdefault(id(span.resource), []).append(span)
        return b"".join(
            otlp.traces_line(
                self._fragment(group[0].resource),
                # Not span_fragment: what a host wraps around its spans to hide something has only the properties.
                [(span.instrumentation_scope, otlp.span_to_dict(hidden(span))) for span in group],
            )
            for group in by_resource.values()
        )

    def _fragment(self, resource: Resource) -> bytes:
        kept = self._resources.get(id(resource))
        if kept is None or kept[0] is not resource:
            if len(self._resources) >= _RESOURCES_KEPT:
                self._resources.clear()
            attributes = {names.SCHEMA: names.SCHEMA_VERSION, **resource.attributes}
            kept = self._resources[id(resource)] = (resource, otlp.resource_fragment(attributes))
        return kept[1]

    def _path(self, lane_id: str, spans: list[ReadableSpan]) -> Path:
        span = _first(spans)
        start = span.start_time or 0
        if _is_session(lane_id, span):
            program = str(span.resource.attributes.get("service.name", "python"))
            place = str(span.resource.attributes.get(names.SESSION_PLACE, ""))
            return storage.session_path(self._directory, start, program, lane_id, self._compression, place)
        attributes = span.attributes or {}
        method = _text(attributes, _METHODS) or span.kind.name
        route = _text(attributes, _ROUTES) or span.name
        context = span.context
        ids = (f"{context.trace_id:032x}", f"{context.span_id:016x}") if context else (lane_id, lane_id)
        return storage.lane_path(self._directory, start, method, route, *ids, self._compression)


def _by_lane(spans: Sequence[ReadableSpan]) -> dict[str, list[ReadableSpan]]:
    lanes: dict[str, list[ReadableSpan]] = {}
    for span in spans:
        lane_id = (span.attributes or {}).get(names.LANE_ID)
        if not isinstance(lane_id, str):
            lane_id = f"{span.context.trace_id:032x}" if span.context else ""
        lanes.setdefault(lane_id, []).append(span)
    return lanes


def _first(spans: list[ReadableSpan]) -> ReadableSpan:
    """The span that a lane is named after: its entry when that is there, else the earliest."""
    entries = [span for span in spans if span.kind in (SpanKind.SERVER, SpanKind.CONSUMER)]
    return min(entries or spans, key=lambda span: span.start_time or 0)


def _is_session(lane_id: str, span: ReadableSpan) -> bool:
    session_id = (span.attributes or {}).get(names.SESSION_ID, span.resource.attributes.get(names.SESSION_ID))
    return lane_id == session_id


def _text(attributes: Mapping[str, object], keys: Sequence[str]) -> str:
    return next((value for key in keys if isinstance(value := attributes.get(key), str) and value), "")
