"""HTTP: the cost of recording a call, the speed of a replay, beside plain OpenTelemetry and vcrpy; large downloads."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.programs import NO_EXPORTERS, ended
from tests.support.commands import OTEL

CALLS = 150
ROUNDS = 7
LARGE_ROUNDS = 3
CLIENTS = ("requests", "httpx", "httpx-async")
LARGE_CLIENTS = ("httpx", "httpx-async", "requests", "urllib3", "urllib", "aiohttp", "tornado")
_HERE = Path(__file__).parent
# Without the recorded clock: the programs measure themselves, and would be given the recorded times.
_OWN_CLOCK = {**NO_EXPORTERS, "TIMETRACER_NONDETERMINISM": "none"}

Row = tuple[str, float, str]
Figures = dict[str, float]


@contextmanager
def _peer() -> Iterator[str]:
    with subprocess.Popen([sys.executable, str(_HERE / "http_server.py")], stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        try:
            yield f"http://127.0.0.1:{server.stdout.readline().strip()}"
        finally:
            server.kill()


def _run(command: list[str], env: dict[str, str]) -> Figures:
    lines = ended(command, env).stdout.splitlines()
    figures: Figures = json.loads(next(line for line in lines if line.startswith("{")))
    return figures


def _recorded(program: list[str], folder: Path) -> Figures:
    return _run([*OTEL, "--traces_exporter", "timetracer", *program], {**_OWN_CLOCK, "TIMETRACER_DIR": str(folder)})


def _small_round(client: str, url: str) -> dict[str, Figures]:
    """One run of each variant, with cassettes of its own."""
    with tempfile.TemporaryDirectory() as work:
        ours, theirs = Path(work, "cassettes"), str(Path(work, "vcr.yaml"))
        program = [sys.executable, str(_HERE / "http_app.py"), client, str(CALLS), url]
        replay = {**_OWN_CLOCK, "TIMETRACER_MODE": "replay", "TIMETRACER_CASSETTE": str(ours)}
        variants: dict[str, Callable[[], Figures]] = {
            "bare": lambda: _run(program, {}),
            "otel": lambda: _run([*OTEL, *program], NO_EXPORTERS),
            "record": lambda: _recorded(program, ours),
            "replay": lambda: _run([*OTEL, *program], replay),
            "vcr-record": lambda: _run([*program, theirs], {}),
            "vcr-play": lambda: _run([*program, theirs], {}),
        }
        return {name: run() for name, run in variants.items()}


def _small(client: str, url: str) -> list[Row]:
    rounds = [_small_round(client, url) for _ in range(ROUNDS)]

    def median(variant: str, figure: str) -> float:
        return statistics.median(one[variant][figure] for one in rounds)

    shown = ", ".join(f"{name} {median(name, 'cpu_us'):.0f}/{median(name, 'wall_us'):.0f}" for name in rounds[0])
    print(f"{client}, µs of CPU/wall a call: {shown}")
    # vcrpy writes its cassette at the end: that is part of what its recording costs.
    ours = median("record", "whole_us") - median("otel", "whole_us")
    theirs = median("vcr-record", "whole_us") - median("bare", "whole_us")
    return [
        (f"{client}: CPU of a call, record ÷ OpenTelemetry", median("record", "cpu_us") / median("otel", "cpu_us"), ""),
        (f"{client}: CPU that recording adds, ours ÷ vcrpy's", ours / theirs, "< 1"),
        (
            f"{client}: calls a second of CPU, replay ÷ vcrpy playback",
            median("vcr-play", "cpu_us") / median("replay", "cpu_us"),
            "> 1",
        ),
        (
            f"{client}: calls a second, replay ÷ vcrpy playback",
            median("vcr-play", "wall_us") / median("replay", "wall_us"),
            "> 1",
        ),
        (f"{client}: calls a second, replay ÷ bare live", median("bare", "wall_us") / median("replay", "wall_us"), ""),
    ]


def _large(client: str, how: str, url: str) -> list[Row]:
    """Of a download of 200 MB, beside the same under OpenTelemetry alone."""
    program = [sys.executable, str(_HERE / "http_large_app.py"), client, how, url]
    rounds: list[tuple[Figures, Figures]] = []
    for _ in range(LARGE_ROUNDS):
        with tempfile.TemporaryDirectory() as folder:
            rounds.append((_run([*OTEL, *program], NO_EXPORTERS), _recorded(program, Path(folder))))

    def ratio(figure: str) -> float:
        without, recorded = (statistics.median(one[side][figure] for one in rounds) for side in (0, 1))
        return recorded / without

    return [
        (f"{client}, 200 MB {how}: peak memory, record ÷ OpenTelemetry", ratio("peak"), "≤ 1.1"),
        (f"{client}, 200 MB {how}: time of all of it", ratio("total"), ""),
    ]


def _first(client: str, url: str) -> list[Row]:
    """Of the time to the first byte, beside the same under OpenTelemetry alone; microseconds are printed."""
    rows = []
    for how, peer in (("large", "at once"), ("late", "after 5 ms")):
        program = [*OTEL, sys.executable, str(_HERE / "http_large_app.py"), client, how, url]
        rounds = [_run(program, NO_EXPORTERS) for _ in range(LARGE_ROUNDS)]
        otel, record = (statistics.median(one[name] for one in rounds) for name in ("otel", "record"))
        print(f"{client}, first byte, the peer answers {peer}: {otel * 1e6:.0f} µs, recorded {record * 1e6:.0f} µs")
        rows.append((f"{client}, streamed, the peer answers {peer}: time to the first byte", record / otel, "≤ 1.1"))
    return rows


def measure() -> list[Row]:
    """Give rows of name, ratio and bound; the variants take turns, the median round counts."""
    with _peer() as url:
        rows = [row for client in CLIENTS for row in _small(client, url)]
        for client in LARGE_CLIENTS:
            rows += _first(client, url) + _large(client, "streamed", url) + _large(client, "whole", url)
    return rows
