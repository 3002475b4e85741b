"""Where libraries and modes meet: what a call, an entry, a lane, an integration are, who decides live or recorded."""

from timetracer_otel.seams.calls import Call, pending
from timetracer_otel.seams.entries import Entry, Headers, Message
from timetracer_otel.seams.integration import (
    Answer,
    Description,
    Generator,
    Instrumentor,
    Integration,
    Patch,
    Responder,
    Value,
)
from timetracer_otel.seams.lanes import Entered, Lane, lane_of, mark
from timetracer_otel.seams.runtime import (
    Runtime,
    active,
    current_lane,
    installed,
    integrations,
    live_io,
    owner,
    responder,
    set_active,
    set_settings,
    settings,
    switched_off,
)

__all__ = [
    "Answer",
    "Call",
    "Description",
    "Entered",
    "Entry",
    "Generator",
    "Headers",
    "Instrumentor",
    "Integration",
    "Lane",
    "Message",
    "Patch",
    "Responder",
    "Runtime",
    "Value",
    "active",
    "current_lane",
    "installed",
    "integrations",
    "lane_of",
    "live_io",
    "mark",
    "owner",
    "pending",
    "responder",
    "set_active",
    "set_settings",
    "settings",
    "switched_off",
]
