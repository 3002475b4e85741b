"""The variants of the sample apps, and what a verification must find of each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

__all__ = ["HARMLESS", "JOB_MUTANTS", "WEB_MUTANTS", "Wanted"]

HARMLESS = ("unchanged", "renamed", "log_line", "swapped_reads", "parallel_reads")
"""What must pass."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the report must name.

    Attributes:
        kind: of difference.
        told: a part of its text.
    """

    kind: str
    told: str


_CALLS = {
    "changed_value": Wanted("changed", "total"),
    "dropped_write": Wanted("missing", "insert audit"),
    "extra_call": Wanted("extra", "find stock"),
    "other_collection": Wanted("extra", "insert carts"),
    "changed_query": Wanted("changed", "$gt"),
    "changed_id": Wanted("changed", "_id"),
    "changed_date": Wanted("changed", "placed"),
    "swapped_writes": Wanted("reordered", "insert audit before"),
    "swallowed_miss": Wanted("changed", "seen"),
}
WEB_MUTANTS: Mapping[str, Wanted] = {
    **_CALLS,
    "response_field": Wanted("body", "currency"),
    "header": Wanted("header", "x-shop"),
    "status": Wanted("status", '"recorded": 201, "live": 200'),
}
"""What must be caught of the web apps."""
JOB_MUTANTS: Mapping[str, Wanted] = {
    **_CALLS,
    "dropped_write": Wanted("missing", "insert runs"),
    "other_collection": Wanted("extra", "insert drafts"),
    "changed_date": Wanted("changed", "day"),
    "swapped_writes": Wanted("reordered", "insert runs before"),
    "swallowed_miss": Wanted("changed", "finished"),
    "changed_output": Wanted("output", "EUR"),
    "exit_status": Wanted("exit status", '"live": 3'),
}
"""What must be caught of the job."""
