"""How a verification runs: what the command line says."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from timetracer_otel.replay.accepting.accept import Ask
from timetracer_otel.replay.comparing import ignore
from timetracer_otel.replay.comparing.calls import Unused
from timetracer_otel.replay.env import Environment
from timetracer_otel.replay.verifying.driver import Order

__all__ = ["Options"]


@dataclass(frozen=True, slots=True)
class Options:
    """The settings of the command line.

    Attributes:
        command: the program with its arguments.
        environment: makes its environment.
        url: where it listens; empty to find out.
        concurrency: how many requests are under way at a time.
        order: see :func:`driver.grouped`.
        workers: how many instances of the program run.
        shard: its number from 1, and of how many.
        service: whose lanes are sent; empty when the cassettes have one service.
        headers: that take the place of recorded ones.
        unused: what recorded calls are that were not asked for.
        wait: seconds until the program must listen.
        timeout: seconds that a response may take.
        ignored: what may differ.
        accept: says which differences are written into the cassettes; None when nothing is written.
        log: file for what the program prints; None for one that is thrown away.
    """

    command: Sequence[str]
    environment: Environment
    url: str = ""
    concurrency: int = 1
    order: Order = "recorded"
    workers: int = 1
    shard: tuple[int, int] = (1, 1)
    service: str = ""
    headers: tuple[tuple[str, str], ...] = ()
    unused: Unused = "error"
    wait: float = 30.0
    timeout: float = 60.0
    ignored: ignore.IgnoreList = field(default_factory=ignore.IgnoreList)
    accept: Ask | None = None
    log: Path | None = None
