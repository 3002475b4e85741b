"""What a verification lets pass, and what it catches: variants of three apps, one request at a time and fifty."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.matrix.harness import Sample, environment, rates, record, seed, verify
from tests.matrix.variants import HARMLESS, JOB_MUTANTS, WEB_MUTANTS, Found

FLASK = Sample("flask", ("flask", "--app", "flask_shop", "run", "--port", "{port}"))
STARLETTE = Sample(
    "starlette", ("uvicorn", "starlette_shop:app", "--port", "{port}", "--no-access-log"), asks_rates=True
)
JOB = Sample("job", ("python", "job.py"), serves=False)
SAMPLES = {sample.name: sample for sample in (FLASK, STARLETTE, JOB)}

WEB = [(name, concurrency) for name in ("flask", "starlette") for concurrency in (1, 50)]
PASSING = [(name, variant, concurrency) for name, concurrency in [*WEB, ("job", 1)] for variant in HARMLESS]
CAUGHT = [(name, variant, concurrency, found) for name, concurrency in WEB for variant, found in WEB_MUTANTS.items()]
CAUGHT += [("starlette", "changed_url", concurrency, Found("changed", "X1")) for concurrency in (1, 50)]
CAUGHT += [("job", variant, 1, found) for variant, found in JOB_MUTANTS.items()]

pytestmark = pytest.mark.system  # minutes: each case starts an app


@pytest.fixture(scope="module")
def recorded(mongo_uri: str, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The cassettes of each sample app; the service of rates that it asked is gone."""
    seed(mongo_uri)
    with rates() as url:
        return {name: record(sample, tmp_path_factory.mktemp(name), mongo_uri, url) for name, sample in SAMPLES.items()}


@pytest.mark.parametrize(("name", "variant", "concurrency"), PASSING)
def test_harmless_change_passes(
    recorded: dict[str, Path], tmp_path: Path, name: str, variant: str, concurrency: int
) -> None:
    """An app that does the same passes, also when it does so by other functions, in parallel or with more to log."""
    verified = verify(SAMPLES[name], recorded[name], tmp_path, variant, "--concurrency", str(concurrency))
    assert (verified.differences(), verified.status) == ([], 0), verified.said


@pytest.mark.parametrize(("name", "variant", "concurrency", "found"), CAUGHT)
def test_mutation_is_caught(  # noqa: PLR0913, PLR0917 - a case has four parts
    recorded: dict[str, Path], tmp_path: Path, name: str, variant: str, concurrency: int, found: Found
) -> None:
    """An app that does something else fails, and the report names what."""
    verified = verify(SAMPLES[name], recorded[name], tmp_path, variant, "--concurrency", str(concurrency))
    assert verified.status == 1, verified.said
    named = [text for kind, text in verified.differences() if kind == found.kind and found.told in text]
    assert named or found.told in verified.said, verified.said


@pytest.mark.parametrize(
    ("variant", "told"), [("unchanged", "48 compared, 0 differ"), ("changed_value", "$.documents")]
)
def test_trace_of_a_replay_can_be_diffed(recorded: dict[str, Path], tmp_path: Path, variant: str, told: str) -> None:
    """The replay's own trace is a cassette; beside the original it shows what the verification found."""
    status = verify(FLASK, recorded["flask"], tmp_path, variant, "--trace", str(tmp_path / "trace")).status
    command = ["timetracer", "diff", str(recorded["flask"]), str(tmp_path / "trace")]
    ended = subprocess.run(command, env=environment(), capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == status
    assert told in ended.stdout, ended.stdout
