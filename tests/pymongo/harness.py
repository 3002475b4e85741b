"""Recording against the real server and replaying without it, in this process."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.pymongo.driver import Driver, drive
from timetracer_otel import spans, testing
from timetracer_otel.replay.journal import Outcome

__all__ = ["ELSEWHERE", "Both", "both", "calls", "requests", "run", "spans_of", "twice"]

ELSEWHERE = "mongodb+srv://u:p@cluster.example.net/?replicaSet=rs0&tls=true"
"""A server that nobody can reach, by a kind of URI that nothing was recorded with."""

Scenario = Callable[[Any], Awaitable[Any]]


def run(driver: Driver, scenario: Scenario, uri: str, **options: Any) -> Any:
    """Run a scenario with a client of its own, to the end of both."""

    async def with_client() -> Any:
        client = driver.client(uri, **options)
        try:
            return await scenario(client)
        finally:
            await driver.get(client.close())

    return drive(with_client()) if driver.name == "sync" else asyncio.run(with_client())


@dataclass(frozen=True)
class Both:
    """What a scenario gave while it was recorded and when it was replayed, and how the replay went."""

    recorded: Any
    replayed: Any
    outcome: Outcome


def twice(folder: Path, once: Callable[[str], Any], uri: str, replayed_by: str = ELSEWHERE) -> Both:
    """Record what a function does with a URI, and replay it with another."""
    with testing.record(folder):
        recorded = once(uri)
    with testing.replay(folder) as replay:
        replayed = once(replayed_by)
    return Both(recorded, replayed, replay.outcome())


def both(folder: Path, driver: Driver, scenario: Scenario, uri: str, **options: Any) -> Both:
    """As :func:`twice`, for a scenario."""
    return twice(folder, lambda where: run(driver, scenario, where, **options), uri)


def spans_of(folder: Path) -> Iterable[dict[str, Any]]:
    """Give the spans that stand in the files, as JSON."""
    for file in sorted(folder.rglob("*.jsonl")):
        if file.is_symlink():
            continue
        for line in file.read_text(encoding="utf-8").splitlines():
            for resource in json.loads(line)["resourceSpans"]:
                for scope in resource["scopeSpans"]:
                    yield from scope["spans"]


def requests(folder: Path) -> list[bytes]:
    """Give the wire messages that stand in the files."""
    attributes = [one for span in spans_of(folder) for one in span["attributes"]]
    return [base64.b64decode(one["value"]["stringValue"]) for one in attributes if one["key"] == spans.REQUEST]


def calls(folder: Path) -> list[str]:
    """Give the commands that stand in the files, in order."""
    found = []
    for span in sorted(spans_of(folder), key=lambda one: int(one["startTimeUnixNano"])):
        attributes = {one["key"]: one["value"] for one in span["attributes"]}
        if "timetracer.plugin" in attributes:
            found.append(span["name"])
    return found
