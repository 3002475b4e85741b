"""The documentation has the lists that the code has."""

from __future__ import annotations

from pathlib import Path

from timetracer_otel.families.http import volatile

PAGE = (Path(__file__).parents[2] / "docs" / "http.md").read_text(encoding="utf-8")


def test_what_never_counts_is_documented_with_its_reason() -> None:
    """Each header and query parameter that is left out stands in http.md with the reason of the code."""
    rows = {
        f"| `{name}` | {reason} |" for entries in (volatile.HEADERS, volatile.QUERY) for name, reason in entries.items()
    }
    rows |= {f"| `{name}…` | {reason} |" for name, reason in volatile.HEADER_PREFIXES.items()}
    assert {row for row in rows if row not in PAGE} == set()


def test_fields_that_never_count_are_documented_with_their_reason() -> None:
    """Each form field that is left out stands in http.md with its reason, and with its form where only that one is."""
    rows = {
        f"| `{name}`{'' if form == '.*' else f' of the form `{form}`'} | {reason} |"
        for name, (form, reason) in volatile.FIELDS.items()
    }
    assert {row for row in rows if row not in PAGE} == set()
