"""Columns of drawn values: whatever is written comes back as it was, in little room."""

from __future__ import annotations

import time
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from timetracer_otel.nondeterminism.columns import NO_MORE, Column, Reader, pack

NUMBERS = st.integers(-(2**63), 2**64 - 1)
CLOCKS = st.floats(0, 4e9) | st.integers(0, 4 * 10**18)
VALUES = st.one_of(
    st.lists(st.integers(0, 100), max_size=30),
    st.lists(NUMBERS, max_size=9),
    st.lists(st.floats(allow_nan=False, allow_infinity=False), max_size=9),
    st.lists(st.integers(10**17, 4 * 10**18), max_size=9),
    st.lists(st.floats(1e9, 4e9), max_size=9),
    st.lists(st.text() | st.booleans() | st.none() | NUMBERS | st.lists(st.integers(0, 9)), max_size=9),
)


def read(*packed: Any) -> list[Any]:
    """What is in columns after they were in a file."""
    column = Column()
    for one in packed:
        column.add(orjson.loads(orjson.dumps(one)))
    return list(iter(Reader(column).next, NO_MORE))


@given(st.lists(VALUES, max_size=5))
def test_values_come_back(columns: list[list[Any]]) -> None:
    """Each value is the very same, of the same type, to the sign of zero."""
    expected = [value for values in columns for value in values]
    assert list(map(repr, read(*map(pack, columns)))) == list(map(repr, expected))


@given(st.floats(1, 4e9), st.lists(st.floats(0, 100), min_size=3, max_size=50))
def test_readings_of_a_clock_come_back(start: float, steps: list[float]) -> None:
    """Also where they are written as steps, which is not seen in them."""
    values = [start + sum(steps[:number]) for number in range(len(steps))]
    assert read(pack(values)) == values


@pytest.mark.parametrize("clock", [time.time, time.monotonic, time.perf_counter, time.time_ns])
def test_readings_are_written_as_steps(clock: Any) -> None:
    """Of this machine's clocks, in a fraction of the digits."""
    values = [clock() for _ in range(1000)]
    packed = pack(values)
    assert isinstance(packed, dict)
    assert read(packed) == values
    assert len(orjson.dumps(packed)) < len(orjson.dumps(values)) / 2


def test_small_numbers_are_characters() -> None:
    """The places of a choice from an alphabet take a byte each, in JSON within JSON too."""
    packed = pack([number % 62 for number in range(1000)])
    assert len(orjson.dumps(orjson.dumps(packed).decode())) < 1010
    assert read(packed) == [number % 62 for number in range(1000)]


def test_random_numbers_stay_readable() -> None:
    """They have no small steps."""
    values = [0.5, 0.25, 0.75]
    assert pack([number * 1e9 for number in values]) == [number * 1e9 for number in values]
