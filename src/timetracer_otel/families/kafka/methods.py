"""What goes around the methods by which a client asks its broker, or tells it something: plain and async ones."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, TypeVar

from timetracer_otel import seams
from timetracer_otel.families.kafka import asking
from timetracer_otel.families.kafka.asking import Asking, Question
from timetracer_otel.families.kafka.taking import Loop
from timetracer_otel.families.kafka.values import Forms
from timetracer_otel.seams import Patch, Responder, faults

__all__ = ["Client"]

_COMMITS = frozenset({"commit", "commit_async"})
_ATTRIBUTE = "_timetracer_loop"
_T = TypeVar("_T")


@dataclass(frozen=True)
class Client:
    """A client library.

    Attributes:
        plugin: the integration's name.
        forms: gives its classes, once it is imported.
        group: gives the group of a consumer; empty where it has none.
    """

    plugin: str
    forms: Callable[[], Forms]
    group: Callable[[Any], str]

    @property
    def is_off(self) -> bool:
        """Whether nothing is recorded or replayed."""
        return seams.is_off(self.plugin)

    @property
    def responder(self) -> Responder | None:
        """What answers in a replay; None when calls go out."""
        return seams.responder(self.plugin)

    def loop(self, consumer: Any) -> Loop:
        """Give what a consumer takes.

        Args:
            consumer: the client's own object.
        """
        found: Loop | None = consumer.__dict__.get(_ATTRIBUTE)
        if found is None:
            found = consumer.__dict__[_ATTRIBUTE] = Loop(self.plugin, self.group(consumer))
        return found

    def guarded(self, where: str, step: Callable[..., _T], *args: Any) -> _T | None:
        """Run a step of the recording: what it raises is reported, and not the app's.

        Args:
            where: a stable name.
            step: to run.
            args: its arguments.
        """
        return faults.guarded(f"{self.plugin}.{where}", step, *args)

    def patches(
        self, module: str, kind: str, *, reads: tuple[str, ...] = (), tells: tuple[str, ...] = ()
    ) -> Iterator[Patch]:
        """Give the patches of methods.

        Args:
            module: of the class.
            kind: the class.
            reads: methods that only ask.
            tells: methods that change something.
        """
        for names, only_asks in ((reads, True), (tells, False)):
            for name in names:
                yield Patch(module, f"{kind}.{name}", maker=self.asked(name, reads=only_asks), required=False)

    def asked(self, operation: str, *, reads: bool) -> Callable[[Any], Any]:
        """Give the maker of what goes around a method.

        Args:
            operation: the method's name.
            reads: whether it changes nothing.
        """

        def maker(original: Any) -> Any:
            async def ask_async(instance: Any, *args: Any, **kwargs: Any) -> Any:
                if self.is_off or self._is_inside(instance):
                    return await original(instance, *args, **kwargs)
                question = self._question(instance, operation, args, kwargs, reads=reads)
                if (responder := self.responder) is not None:
                    return self._answered(responder, instance, question)
                with self._asking(question) as asked:
                    answer = await original(instance, *args, **kwargs)
                    asked.told(answer)
                self._settles(instance, operation)
                return answer

            def ask(instance: Any, *args: Any, **kwargs: Any) -> Any:
                if self.is_off or self._is_inside(instance):
                    return original(instance, *args, **kwargs)
                question = self._question(instance, operation, args, kwargs, reads=reads)
                if (responder := self.responder) is not None:
                    return self._answered(responder, instance, question)
                with self._asking(question) as asked:
                    answer = original(instance, *args, **kwargs)
                    asked.told(answer)
                self._settles(instance, operation)
                return answer

            return ask_async if inspect.iscoroutinefunction(original) else ask

        return maker

    def _asking(self, question: Question | None) -> AbstractContextManager[Asking]:
        """Around the asking of something that goes out."""
        return Asking(self.plugin, question, self.forms())

    def _is_inside(self, instance: Any) -> bool:
        """Whether it is the client itself that asks."""
        loop: Loop | None = getattr(instance, "__dict__", {}).get(_ATTRIBUTE)
        return loop is not None and loop.inside

    def _question(self, instance: Any, operation: str, args: Any, kwargs: Any, *, reads: bool) -> Question | None:
        def made() -> Question:
            return Question.of(operation, self.forms(), args, kwargs, group=self.group(instance), reads=reads)

        return self.guarded("ask", made)

    def _answered(self, responder: Responder, instance: Any, question: Question | None) -> Any:
        if question is None:
            responder.refuse(f"{self.plugin} was asked something that no recording can hold")
        answer = asking.answered(responder, question, self.forms())
        self._settles(instance, question.operation)
        return answer

    def _settles(self, instance: Any, operation: str) -> None:
        if operation in _COMMITS:
            self.loop(instance).work.settle("commit")
