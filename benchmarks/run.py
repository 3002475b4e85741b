"""``make bench``: run every measurement and print it as ratios beside the bound that it should keep."""

from __future__ import annotations

import importlib
import sys

from rich.console import Console
from rich.table import Table

_MEASUREMENTS = ("mongo", "small_calls", "http_clients", "nondeterminism", "suite", "verify", "loading", "lookups")


def main(names: list[str]) -> None:
    """Run the named measurements, all when none is named."""
    table = Table("measurement", "ratio", "bound", title="ratios within one run")
    for name in names or _MEASUREMENTS:
        for row, ratio, bound in importlib.import_module(f"benchmarks.{name}").measure():
            table.add_row(row, f"{ratio:.2f}", bound)
    Console(width=120).print(table)


if __name__ == "__main__":
    main(sys.argv[1:])
