"""The variants of the sample apps, and what a verification must find of each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

__all__ = ["HARMLESS", "JOB_MUTANTS", "WEB_MUTANTS", "Found"]

HARMLESS = ("unchanged", "renamed", "log_line", "swapped_reads", "parallel_reads")
"""What must pass."""


@dataclass(frozen=True, slots=True)
class Found:
    """What the report must name.

    Attributes:
        kind: of difference.
        told: a part of its text.
    """

    kind: str
    told: str


_CALLS = {
    "changed_value": Found("changed", "total"),
    "dropped_write": Found("missing", "insert audit"),
    "extra_call": Found("extra", "find stock"),
    "other_collection": Found("extra", "insert carts"),
    "changed_query": Found("changed", "$gt"),
    "changed_id": Found("changed", "_id"),
    "changed_date": Found("changed", "placed"),
    "swapped_writes": Found("reordered", "insert audit before"),
    "swallowed_miss": Found("changed", "seen"),
}
WEB_MUTANTS: Mapping[str, Found] = {
    **_CALLS,
    "response_field": Found("body", "currency"),
    "header": Found("header", "x-shop"),
    "status": Found("status", "201 recorded, 200 now"),
}
"""What must be caught of the web apps."""
JOB_MUTANTS: Mapping[str, Found] = {
    **_CALLS,
    "dropped_write": Found("missing", "insert runs"),
    "extra_call": Found("extra", "find settings"),
    "other_collection": Found("extra", "insert drafts"),
    "changed_date": Found("changed", "day"),
    "swapped_writes": Found("reordered", "insert runs before"),
    "swallowed_miss": Found("changed", "finished"),
    "changed_output": Found("output", "EUR"),
    "exit_status": Found("exit status", "3 now"),
}
"""What must be caught of the job."""
