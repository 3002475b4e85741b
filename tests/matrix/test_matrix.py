"""What a verification lets pass, and what it catches: variants of three apps, one request at a time and fifty."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeAlias, cast

import pytest

from tests.matrix.harness import Sample, Verified, environment, rates, record, seed, verify
from tests.matrix.variants import HARMLESS, JOB_MUTANTS, WEB_MUTANTS, Wanted
from timetracer_otel import spans
from timetracer_otel.cassette import loading, storage
from timetracer_otel.cassette.model import Lane
from timetracer_otel.replay.answering.trace import REPLAY_OF

FLASK = Sample("flask", ("flask", "--app", "flask_shop", "run", "--port", "{port}"))
STARLETTE = Sample(
    "starlette", ("uvicorn", "starlette_shop:app", "--port", "{port}", "--no-access-log"), asks_rates=True
)
JOB = Sample("job", ("python", "job.py"), serves=False)
SAMPLES = {sample.name: sample for sample in (FLASK, STARLETTE, JOB)}

Case: TypeAlias = tuple[str, str, int]
"""A sample, its variant, and how many requests are under way at a time."""
WEB = [(name, concurrency) for name in ("flask", "starlette") for concurrency in (1, 50)]
PASSING: list[Case] = [(name, variant, number) for name, number in [*WEB, ("job", 1)] for variant in HARMLESS]
CAUGHT: dict[Case, Wanted] = {
    **{(name, variant, number): wanted for name, number in WEB for variant, wanted in WEB_MUTANTS.items()},
    **{("starlette", "changed_url", number): Wanted("changed", "X1") for number in (1, 50)},
    **{("job", variant, 1): wanted for variant, wanted in JOB_MUTANTS.items()},
}

pytestmark = pytest.mark.system  # minutes: each case starts an app


@pytest.fixture(scope="module")
def recorded(mongo_uri: str, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The cassettes of each sample app; the service of rates that it asked is gone."""
    seed(mongo_uri)
    with rates() as url:
        return {name: record(sample, tmp_path_factory.mktemp(name), mongo_uri, url) for name, sample in SAMPLES.items()}


@pytest.fixture(scope="module")
def verified(
    recorded: dict[str, Path], request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[[Case], Verified]]:
    """Gives what the verification of a case says. All that were asked for run beside one another, one a processor."""

    def run(case: Case) -> Verified:
        name, variant, concurrency = case
        folder = tmp_path_factory.mktemp(f"{name}-{variant}-{concurrency}")
        return verify(SAMPLES[name], recorded[name], folder, variant, "--concurrency", str(concurrency))

    wanted = [case for item in request.session.items for case in _case(item)]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        running = {case: pool.submit(run, case) for case in wanted}
        yield lambda case: running[case].result()
        pool.shutdown(cancel_futures=True)


def _case(item: pytest.Item) -> Iterator[Case]:
    if isinstance(item, pytest.Function) and item.module.__name__ == __name__ and "case" in item.callspec.params:
        yield cast("Case", item.callspec.params["case"])


def _id(parameter: object) -> str:
    return "-".join(map(str, parameter)) if isinstance(parameter, tuple) else ""


@pytest.mark.parametrize("case", PASSING, ids=_id)
def test_harmless_change_passes(verified: Callable[[Case], Verified], case: Case) -> None:
    """An app that does the same passes, also when it does so by other functions, in parallel or with more to log."""
    found = verified(case)
    assert (found.differences(), found.status) == ([], 0), found.said


@pytest.mark.parametrize(("case", "wanted"), CAUGHT.items(), ids=_id)
def test_mutation_is_caught(verified: Callable[[Case], Verified], case: Case, wanted: Wanted) -> None:
    """An app that does something else fails, and the report names what."""
    found = verified(case)
    assert found.status == 1, found.said
    named = [text for kind, text in found.differences() if kind == wanted.kind and wanted.told in text]
    assert named, found.said
    assert wanted.kind in found.said, found.said


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


@pytest.mark.parametrize(("name", "concurrency"), WEB)
def test_unchanged_app_answers_the_recorded_bytes(
    recorded: dict[str, Path], tmp_path: Path, name: str, concurrency: int
) -> None:
    """Not only by value, as JSON is compared: ids, tokens, random numbers and times in bodies are the same bytes."""
    trace = tmp_path / "trace"
    options = ("--concurrency", str(concurrency), "--trace", str(trace))
    found = verify(SAMPLES[name], recorded[name], tmp_path, "unchanged", *options)
    assert found.status == 0, found.said
    then = {lane.id: body(lane) for lane in loading.load(storage.find([str(recorded[name])], tmp_path)).lanes}
    now = {
        str(span.attributes[REPLAY_OF]): body(lane)
        for lane in loading.load(storage.find([str(trace)], tmp_path)).lanes
        for span in lane.spans
        if REPLAY_OF in span.attributes
    }
    assert len(then) >= 48
    assert all(then.values())
    assert now == then


def body(lane: Lane) -> bytes | None:
    """What the app answered."""
    assert lane.entry is not None
    return lane.entry.payload(spans.HTTP_RESPONSE_BODY)
