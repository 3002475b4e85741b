"""The means by which the lanes of a process are written: settings and limits, the writer, the host's exporters."""

from __future__ import annotations

import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from timetracer_otel import encoding, spans
from timetracer_otel.cassette import otlp, storage
from timetracer_otel.config import Settings
from timetracer_otel.exporters.host.otlp_sender import Leaving
from timetracer_otel.exporters.lanes.resource import ProcessDescription, describe_process
from timetracer_otel.exporters.writing.losses import Tally
from timetracer_otel.exporters.writing.memory import Memory
from timetracer_otel.exporters.writing.retention import Retention
from timetracer_otel.exporters.writing.sink import Sink

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.util.instrumentation import InstrumentationScope

__all__ = ["Output"]


class Output:
    """The lower half of a recorder, which knows no lanes.

    Args:
        settings: the settings in force.
        provider: the host's tracer provider, which stays as it is.
    """

    def __init__(self, settings: Settings, provider: TracerProvider) -> None:
        self.settings = settings
        self.provider = provider
        self.memory = Memory(settings.max_memory)
        self.tally = Tally()
        self.sink = Sink(self.memory, self.tally)
        self.retention = Retention(settings)
        self.relieving = threading.RLock()
        self.leaving: Leaving | None = None
        """Takes large payloads out of what leaves by the host's exporters; None when none leave that way."""
        self.session_attributes: dict[str, spans.Attribute] = {}
        """Every line that this process writes says this of its session."""
        self._description: tuple[int, ProcessDescription] | None = None

    def forget_parent(self) -> None:
        """In a forked child: drop what was of the parent."""
        self._description = None
        self.relieving = threading.RLock()

    def line(self, ended: Sequence[tuple[InstrumentationScope | None, bytes]], resource: bytes | None = None) -> bytes:
        """Put encoded spans into one line of a cassette.

        Args:
            ended: the spans with their scopes.
            resource: of the line; that of a lane when None.
        """
        encoding.look()
        return otlp.traces_line(resource or self.description().lane, ended)

    def description(self) -> ProcessDescription:
        """Give the description of this process for lines; it is made anew when modules were imported since."""
        imported = len(sys.modules)
        if self._description is None or self._description[0] != imported:
            own = {**describe_process(self.settings), **self.session_attributes}
            self._description = (imported, ProcessDescription(self.provider.resource.attributes, own))
        return self._description[1]

    def wrote(self, path: Path, size: int) -> None:
        """Take note that the file of an entry's lane is there.

        Args:
            path: the file.
            size: bytes.
        """
        if self.retention.limited:
            self.retention.wrote(size)
        # Twenty times a second at most, or traffic would pay for the link.
        self.sink.soon(lambda: storage.point_latest(self.settings.dir, path))
