"""One run of a test: its tape, how it went, what fails it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from timetracer_otel.errors import ConfigError, TimetracerError
from timetracer_otel.testing import Call, Recording, Replaying, Tape

__all__ = ["Live", "Run"]


class Live(Tape):
    """No cassette: the test runs as if nobody had marked it."""

    mode = "off"

    def begin(self) -> None:
        """Change nothing."""

    def end(self, error: BaseException | None = None) -> None:
        """There is nothing to end."""

    def _calls_so_far(self) -> list[Call]:
        raise ConfigError(f"{self.title} runs live: nobody sees its calls in mode off")


class Run:
    """One run of a test.

    Args:
        item: the test.
        tape: its own.
        strict: whether recorded calls that it does not ask for fail it.
    """

    def __init__(self, item: pytest.Item, tape: Tape, *, strict: bool) -> None:
        self._item = item
        self._tape = tape
        self._strict = strict
        self._begun = False
        self._ended = False
        self._told = 0
        """How many misses were told already."""
        self._error: BaseException | None = None
        self._well = False
        """Whether the test itself went well."""
        self.missed = False
        """Whether it asked for anything that its cassette does not have."""

    @property
    def is_recording(self) -> bool:
        """Whether its calls go out, and are recorded."""
        return self._tape.is_recording

    @property
    def is_under_way(self) -> bool:
        """Whether its tape is in use."""
        return self._begun and not self._ended

    def tape_in_use(self) -> Tape:
        """Its tape."""
        return self._tape

    def begin(self) -> None:
        """Begin its tape, once: with its first own fixture, or itself."""
        if self._begun:
            return
        self._begun = True
        try:
            self._tape.begin()
        except TimetracerError as error:
            self._ended = True
            pytest.fail(f"timetracer: {error}", pytrace=False)
        self._item.addfinalizer(self._end)  # taken before all others of its own: it comes last

    @contextmanager
    def called(self) -> Iterator[None]:
        """Around the test itself."""
        try:
            yield
        except BaseException as error:
            self._error = error
            if problem := self._new_problem():
                error.add_note(problem)
            raise
        if problem := self._new_problem():
            pytest.fail(problem, pytrace=False)

    def _new_problem(self) -> str:
        """Say what was asked and not answered since the last time."""
        if not isinstance(self._tape, Replaying) or not self.is_under_way:
            return ""
        problems = self._tape.problems()
        known, self._told = self._told, len(problems)
        self.missed = self.missed or bool(problems)
        return self._tape.problem() if len(problems) > known else ""

    def reported(self, report: pytest.TestReport) -> None:
        """Take note of how a part of it went.

        Args:
            report: as other plugins left it.
        """
        if report.when == "call":
            self._well = not report.failed  # one that skips itself does so again in a replay, after what it asked first

    def _end(self) -> None:
        """End its tape, behind all that it tears down itself."""
        problem = self._new_problem()
        self._ended = True
        self._tape.end(self._error)
        if isinstance(self._tape, Recording) and not self._well:
            self._tape.discard()
        if isinstance(self._tape, Replaying) and self._strict and self._well and not self.missed:
            problem = problem or self._tape.problem(strict=True)
        if problem:
            pytest.fail(problem, pytrace=False)

    @contextmanager
    def torn_down(self) -> Iterator[None]:
        """Around its teardown: what was recorded is kept when everything went well."""
        tape = self._tape
        try:
            yield
        except BaseException:
            self._well = False
            raise
        finally:
            if self.is_under_way:
                self._ended = True
                tape.end(self._error)
            if isinstance(tape, Recording) and not self._well:
                tape.discard()
        if isinstance(tape, Recording):
            try:
                tape.keep()
            except TimetracerError as error:
                pytest.fail(f"timetracer: {error}", pytrace=False)
