"""The standard library's HTTP client: urllib.request, http.client, and what stands on them."""

from __future__ import annotations

from timetracer_otel.families.http.family import declared
from timetracer_otel.families.http.http_client import PATCHES
from timetracer_otel.families.http.lengths import forgiving
from timetracer_otel.seams import Instrumentor

__all__ = ["INTEGRATION"]

INTEGRATION = declared(
    "urllib",
    (*PATCHES, forgiving("opentelemetry.instrumentation.urllib")),
    packages={"http": "", "urllib": ""},
    instrumentors=(Instrumentor("urllib", "urllib.request"),),
)
