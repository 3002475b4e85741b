"""Size a fleet that records: collectors, objects, bytes and replay time of so many lanes a day.

``python -m scripts.simulate_fleet`` prints the figures of docs/operations.md. It is arithmetic over a day that is drawn
with a fixed seed, and measures nothing: what it assumes is in :class:`Assumptions`, to be replaced by what you measure.
"""

from __future__ import annotations

import argparse
import math
import random
from collections.abc import Iterator
from dataclasses import dataclass, fields
from statistics import fmean

__all__ = ["Assumptions", "Day", "day", "report"]

HOURS = 24
SECONDS = 3600


@dataclass(frozen=True)
class Assumptions:
    """What the simulation takes as given.

    Attributes:
        lanes: a day.
        services: that record.
        skew: exponent of the services' shares: the n-th largest has a share of 1 / n ** skew.
        peak: lanes in the busiest hour over those of the mean hour.
        jitter: how far a second lies from its hour's mean, as a share (standard deviation).
        lane_bytes: a lane as OTLP JSON: a request with 5 database calls, see "Sizing".
        ratio: size after zstd over before, of many lanes in one file.
        collector_lanes: that one collector of 2 processors takes a second, kept below 70 % of what it could.
        object_bytes: of one object, before it is closed; compressed.
        object_seconds: after which an object is closed however small it is.
        list_page: names that one listing request of an object store gives.
        list_seconds: one such request.
        fetch_bytes: that one replay worker reads a second from the store.
        replay_lanes: that one replay worker replays a second.
        shards: replay workers at once.
    """

    lanes: float = 1e9
    services: int = 200
    skew: float = 1.0
    peak: float = 2.5
    jitter: float = 0.1
    lane_bytes: float = 15_500
    ratio: float = 0.1
    collector_lanes: float = 2_500
    object_bytes: float = 128e6
    object_seconds: float = 300
    list_page: int = 1_000
    list_seconds: float = 0.1
    fetch_bytes: float = 50e6
    replay_lanes: float = 100
    shards: int = 256


@dataclass(frozen=True)
class Day:
    """What a day comes to; bytes are after compression unless said otherwise."""

    mean_rate: float
    peak_rate: float
    raw_bytes: float
    stored_bytes: float
    collectors: int
    ingress: float
    objects_hour: float
    objects_busiest: int
    objects_unrouted: int
    list_hour: float
    list_service_hour: float
    index_scan: float
    replay_hour: float
    replay_day: float


def _hourly(given: Assumptions) -> list[float]:
    """Lanes of each hour: a cosine whose top is ``peak`` times the mean, cut off at a tenth of the mean."""
    shape = [max(0.1, 1 + (given.peak - 1) * math.cos((hour - 14) / HOURS * 2 * math.pi)) for hour in range(HOURS)]
    scale = given.lanes / sum(shape)
    return [value * scale for value in shape]


def _shares(given: Assumptions) -> list[float]:
    weights = [1 / rank**given.skew for rank in range(1, given.services + 1)]
    return [weight / sum(weights) for weight in weights]


def _seconds(lanes: float, given: Assumptions, draw: random.Random) -> Iterator[float]:
    for _ in range(SECONDS):
        yield max(0.0, draw.gauss(1.0, given.jitter)) * lanes / SECONDS


def _objects(size: float, given: Assumptions) -> int:
    """Objects of one service in one hour, of one collector that has all of it: closed by size or by time."""
    return max(math.ceil(size / given.object_bytes), math.ceil(SECONDS / given.object_seconds)) if size else 0


def day(given: Assumptions, seed: int = 1) -> Day:
    """Simulate a day, second by second.

    Args:
        given: the assumptions.
        seed: of the draws; the same gives the same day.
    """
    draw = random.Random(seed)
    hours, shares = _hourly(given), _shares(given)
    peak_rate = max(max(_seconds(lanes, given, draw)) for lanes in hours)
    stored = given.lane_bytes * given.ratio
    collectors = math.ceil(peak_rate / given.collector_lanes)
    objects = [sum(_objects(lanes * share * stored, given) for share in shares) for lanes in hours]
    busiest = max(range(HOURS), key=hours.__getitem__)
    largest = [_objects(lanes * shares[0] * stored, given) for lanes in hours]
    one_lane = max(given.lane_bytes * given.ratio / given.fetch_bytes, 1 / given.replay_lanes)
    return Day(
        mean_rate=given.lanes / HOURS / SECONDS,
        peak_rate=peak_rate,
        raw_bytes=given.lanes * given.lane_bytes,
        stored_bytes=given.lanes * stored,
        collectors=collectors,
        ingress=peak_rate * given.lane_bytes * 8,
        objects_hour=fmean(objects),
        objects_busiest=objects[busiest],
        objects_unrouted=collectors
        * sum(_objects(hours[busiest] * share * stored / collectors, given) for share in shares),
        list_hour=math.ceil(objects[busiest] / given.list_page) * given.list_seconds,
        list_service_hour=math.ceil(max(largest) / given.list_page) * given.list_seconds,
        index_scan=given.object_bytes / given.fetch_bytes,
        replay_hour=hours[busiest] * shares[0] * one_lane / given.shards,
        replay_day=given.lanes * one_lane / given.shards,
    )


def report(given: Assumptions, seed: int = 1) -> str:
    """Give the assumptions and the figures as lines of text."""
    found = day(given, seed)
    lines = ["assumed:", *(f"  {field.name:16} {getattr(given, field.name):,g}" for field in fields(given)), "follows:"]
    figures = {
        "lanes a second, mean": f"{found.mean_rate:,.0f}",
        "lanes a second, busiest": f"{found.peak_rate:,.0f}",
        "bytes a day, as OTLP JSON": f"{found.raw_bytes / 1e12:.1f} TB",
        "bytes a day, stored": f"{found.stored_bytes / 1e12:.2f} TB",
        "collectors of 2 processors": f"{found.collectors}",
        "into all collectors": f"{found.ingress / 1e9:.1f} Gbit/s",
        "objects an hour, mean": f"{found.objects_hour:,.0f}",
        "objects, busiest hour": f"{found.objects_busiest:,}",
        "the same, services not routed": f"{found.objects_unrouted:,}",
        "listing the busiest hour": f"{found.list_hour:.1f} s",
        "listing its largest service": f"{found.list_service_hour:.1f} s",
        "reading one object": f"{found.index_scan:.1f} s",
        "replay, largest service, busiest hour": f"{found.replay_hour / 60:.0f} min",
        "replay, the whole day": f"{found.replay_day / 3600:.1f} h",
    }
    return "\n".join([*lines, *(f"  {name:38} {value}" for name, value in figures.items())])


def run(arguments: list[str] | None = None) -> None:
    """Read the arguments and print the report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=1)
    for field in fields(Assumptions):
        parser.add_argument(f"--{field.name.replace('_', '-')}", type=float, default=field.default)
    options = vars(parser.parse_args(arguments))
    seed = options.pop("seed")
    whole = {field.name for field in fields(Assumptions) if isinstance(field.default, int)}
    print(
        report(Assumptions(**{name: int(value) if name in whole else value for name, value in options.items()}), seed)
    )


if __name__ == "__main__":
    run()
