"""The one place that decides live or recorded: a process has one runtime, that of its mode, or none."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Final, Protocol

from opentelemetry.trace import SpanKind

from timetracer_otel import spans
from timetracer_otel.config import Settings
from timetracer_otel.seams.calls import Call, begin, instrumented, start, starting, switched_off
from timetracer_otel.seams.lanes import Bequest, Lane, lane_of, process

if TYPE_CHECKING:
    from opentelemetry.context import Context

    from timetracer_otel.seams.entries import Entry
    from timetracer_otel.seams.integration import Integration, Responder

__all__ = [
    "MADE_UP_DOMAIN",
    "Runtime",
    "active",
    "begin",
    "current_lane",
    "installed",
    "instrumented",
    "integrations",
    "is_off",
    "live_io",
    "owner",
    "responder",
    "set_active",
    "set_settings",
    "settings",
    "start",
    "switched_off",
]


class Runtime(Protocol):
    """A mode's behaviour at the seams.

    ``strips_lane_header`` says whether the entry's seam removes :data:`spans.LANE_HEADER` from requests; ``answers``
    whether there may be a responder: where a mode only records, no call needs to ask for one.
    """

    strips_lane_header: bool
    answers: bool

    def open_lane(self, entry: Entry, bequest: Bequest | None = None) -> Lane | None:
        """Begin an entry; None when it is not to be recorded.

        Args:
            entry: about to begin.
            bequest: where one process goes on with it when another is killed.
        """
        ...

    def wants_whole(self, entry: Entry) -> bool:
        """Whether the entry's seam must read it to its end before it opens the lane."""
        ...

    def session(self) -> Lane:
        """The session of this process."""
        ...

    def begin(
        self, name: str, attributes: Mapping[str, spans.Attribute], kind: SpanKind = SpanKind.CLIENT
    ) -> Call | None:
        """Start the span of a call that no instrumentor made one for; None when calls are not recorded.

        Args:
            name: of the span.
            attributes: semantic-convention attributes of the call.
            kind: CLIENT, or PRODUCER of a message that nobody answers.
        """
        ...

    def responder(self, plugin: str) -> Responder | None:
        """Give the responder of an integration's calls; None when they go out."""
        ...


integrations: dict[str, Integration] = {}
"""The integrations at work in this process, by name. The door fills it; nobody below imports a library's module."""

installer: Callable[..., Any] | None = None
"""``auto_setup`` calls this to install a runtime; the door sets it."""

stopper: Callable[[], None] | None = None
"""A server that says that it stops has this called, which writes everything that waits; the door sets it."""

MADE_UP_DOMAIN: Final = "timetracer.invalid"
"""Of the names that a replay makes up for a driver (RFC 2606: they never resolve)."""
live_io: ContextVar[bool] = ContextVar("timetracer_live_io", default=False)
"""Set while an integration that stays live connects, so that a replay's guard lets it through."""


class _Installed:
    """The runtime that is installed in this process."""

    __slots__ = ("runtime",)

    def __init__(self) -> None:
        self.runtime: Runtime | None = None
        """That of its mode; None in mode off. Read here by what every call passes: :func:`active` costs a call."""


installed: Final = _Installed()
_settings = Settings()


def set_active(runtime: Runtime | None) -> None:
    """Install the runtime of this process, or remove it."""
    installed.runtime = runtime
    starting.starter = None if runtime is None else runtime.begin
    starting.scopes = {name: integration.scopes for name, integration in integrations.items()}
    if runtime is None:
        process.end_lanes()


def set_settings(settings: Settings) -> None:
    """Put settings in force for what compares calls; the door does so before it installs a runtime."""
    global _settings  # noqa: PLW0603 - a process has one installation
    _settings = settings


def settings() -> Settings:
    """The settings in force; the defaults when nothing is installed."""
    return _settings


def active() -> Runtime | None:
    """The runtime of this process; None in mode off."""
    return installed.runtime


def is_off(plugin: str) -> bool:
    """Whether an integration leaves its library alone: nothing is recorded or replayed, or it is switched off.

    Args:
        plugin: its name.
    """
    return active() is None or plugin in switched_off


def responder(plugin: str) -> Responder | None:
    """Give the responder of an integration's calls in this process; None when they are live."""
    runtime = installed.runtime
    if runtime is None or not runtime.answers or plugin in switched_off:
        return None
    return runtime.responder(plugin)


def owner(kind: type) -> str | None:
    """The name of the integration that a class belongs to: of its own bases, the nearest that is from a known package.

    Args:
        kind: a class of a library, or of the app that derives it from one.
    """
    for base in kind.__mro__:
        package = base.__module__.partition(".")[0]
        for integration in integrations.values():
            if package in integration.packages:
                return integration.name
    return None


def current_lane(runtime: Runtime, context: Context | None = None) -> Lane:
    """The lane that the current code belongs to: its entry's, else the session."""
    return lane_of(context) or runtime.session()
