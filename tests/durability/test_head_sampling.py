"""The host's own sampling: what it drops is recorded all the same, and its exporters get what they would have got."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from scripts.soak import environment
from tests.durability.harness import recorded

PROGRAM = """
import sys

from scripts.soak_app import wsgi
from opentelemetry import trace

client = wsgi.test_client()
FLAGS = {"none": None, "sampled": "01", "unsampled": "00"}
for number, flags in enumerate(FLAGS.values(), start=1):
    headers = {} if flags is None else {"traceparent": f"00-{number:032x}-{number:016x}-{flags}"}
    assert client.get(f"/items/{number}", headers=headers).status_code == 200
trace.get_tracer_provider().force_flush()
"""
SAMPLERS = {
    "parentbased_always_on": {1, 2},
    "parentbased_always_off": {2},
}
"""Of the requests without a traceparent, with a sampled one and with an unsampled one: which the host keeps."""


def exported(folder: Path, exporters: str, sampler: str) -> list[tuple[str, str, str]]:
    """Run the program; give name, kind and status of what the host's console exporter printed."""
    env = environment(folder / exporters, OTEL_TRACES_SAMPLER=sampler, TIMETRACER_NONDETERMINISM="none")
    command = ["opentelemetry-instrument", "--traces_exporter", exporters, "--metrics_exporter", "none"]
    command += ["--logs_exporter", "none", sys.executable, "-c", PROGRAM]
    run = subprocess.run(command, env=env, cwd=folder, check=True, capture_output=True, text=True, timeout=60)
    decoder, text, spans = json.JSONDecoder(), run.stdout.strip(), []
    while text:
        span, end = decoder.raw_decode(text)
        spans.append((span["name"], span["kind"], json.dumps(span["attributes"], sort_keys=True)))
        text = text[end:].lstrip()
    return sorted(spans)


@pytest.mark.system
@pytest.mark.parametrize("sampler", SAMPLERS)
def test_a_sampler_neither_loses_lanes_nor_is_changed(tmp_path: Path, sampler: str) -> None:
    """Three requests are recorded, whatever the host's sampler says, which goes on saying it."""
    plain = exported(tmp_path, "console", sampler)
    beside = exported(tmp_path, "console,timetracer", sampler)
    assert beside == plain
    assert len([name for name, *_ in plain if name.startswith("GET")]) == len(SAMPLERS[sampler])
    assert recorded(tmp_path / "console,timetracer") == [f"/items/{number}" for number in (1, 2, 3)]
    assert not (tmp_path / "console").exists()
