"""Where libraries and modes meet: what a call, an entry, a lane, an integration are, who decides live or recorded."""

from timetracer_otel.seams.calls import Call, pending
from timetracer_otel.seams.entries import Headers, Request, Response, entry_attributes
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
    "Generator",
    "Headers",
    "Instrumentor",
    "Integration",
    "Lane",
    "Patch",
    "Request",
    "Responder",
    "Response",
    "Runtime",
    "Value",
    "active",
    "current_lane",
    "entry_attributes",
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
