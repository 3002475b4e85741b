"""docs/collector.md works as it is written."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from examples.support import free_port
from tests.collector.conftest import ROOT

pytestmark = pytest.mark.system


def test_the_commands(otelcol: str, mongo_uri: str, tmp_path: Path) -> None:
    """The five commands of the page, typed in this repository, record a script and replay it."""
    page = (ROOT / "docs" / "collector.md").read_text(encoding="utf-8")
    found = re.search(r"^```sh\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    assert found is not None
    assert len(found[1].splitlines()) == 5
    for name in ("scripts", "examples", "otel-collector.yaml"):
        (tmp_path / name).symlink_to(ROOT / name)
    grpc = free_port()
    env = {
        **os.environ,
        "PATH": os.pathsep.join((str(Path(sys.executable).parent), os.environ["PATH"])),
        "MONGODB_URI": mongo_uri,
        "TIMETRACER_OTELCOL_CACHE": str(Path(otelcol).parent),
        "OTELCOL_GRPC": f"127.0.0.1:{grpc}",
        "OTELCOL_HTTP": f"127.0.0.1:{free_port()}",
        "OTELCOL_HEALTH": f"127.0.0.1:{free_port()}",
        "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{grpc}",
    }
    done = subprocess.run(
        ["sh", "-e"], input=found[1], cwd=tmp_path, env=env, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    assert re.search(
        r"^timetracer verify: 1 checked, 1 passed, 0 differ; \d+ calls answered", done.stdout, re.MULTILINE
    )
