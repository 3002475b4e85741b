"""The app's own function is found behind what frameworks and decorators put around it."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from timetracer_otel.seams.handlers import code_of, watched, watcher


def plain(article: str) -> str:
    """A handler."""
    return article


async def awaiting(article: str) -> str:
    """Another."""
    return article


def logged(function: Callable[..., Any]) -> Callable[..., Any]:
    """A decorator of an app."""

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        return function(*args, **kwargs)

    return call


class Callable_:  # noqa: N801 - the other is a type
    """A handler that is an object."""

    def __call__(self, article: str) -> str:
        """Answer."""
        return article

    def method(self, article: str) -> str:
        """Answer."""
        return article


@pytest.mark.parametrize(
    ("handler", "code"),
    [
        (plain, plain.__code__),
        (logged(logged(plain)), plain.__code__),
        (functools.partial(logged(plain), "pen"), plain.__code__),
        (Callable_(), Callable_.__call__.__code__),
        (Callable_().method, Callable_.method.__code__),
        (awaiting, awaiting.__code__),
        (len, None),
        (Callable_, None),
    ],
)
def test_the_code_of_a_handler(handler: Any, code: object) -> None:
    """That which the app wrote; nothing of a function of C or a class."""
    assert code_of(handler) is code


@pytest.mark.parametrize("handler", [plain, awaiting])
def test_a_watched_handler_is_what_it_was(handler: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is called in what goes around it, and stays a function or a coroutine's."""
    around: list[str] = []

    @contextmanager
    def watch(function: Callable[..., Any]) -> Iterator[None]:
        around.append(f"{function.__name__} begins")
        yield
        around.append("ends")

    monkeypatch.setattr(watcher, "around", watch)
    made = watched(handler)
    assert asyncio.iscoroutinefunction(made) is asyncio.iscoroutinefunction(handler)
    result = made("pen")
    assert (asyncio.run(result) if handler is awaiting else result) == "pen"
    assert around == [f"{handler.__name__} begins", "ends"]
