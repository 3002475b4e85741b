"""What an app asks of its cluster by an admin client: each of that client's methods is a call, plain or async."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, Final

from timetracer_otel.families.kafka import asking
from timetracer_otel.families.kafka.asking import Asking, Question
from timetracer_otel.families.kafka.methods import Client
from timetracer_otel.seams import Patch

__all__ = ["METHODS", "Administering"]

METHODS: Final = (
    "alter_configs", "alter_group_offsets", "create_acls", "create_partitions", "create_topics", "delete_acls",
    "delete_consumer_groups", "delete_group_offsets", "delete_groups", "delete_records", "delete_topics",
    "describe_acls", "describe_cluster", "describe_configs", "describe_consumer_groups", "describe_groups",
    "describe_log_dirs", "describe_topics", "find_coordinator", "list_consumer_group_offsets", "list_consumer_groups",
    "list_group_offsets", "list_groups", "list_partition_offsets", "list_topics", "reset_configs",
    "reset_group_offsets", "wait_for_topics",
)  # fmt: skip
_READS: Final = ("describe_", "find_", "list_", "wait_")
_inside: ContextVar[bool] = ContextVar("timetracer_administering", default=False)


@contextmanager
def _own_use() -> Iterator[None]:
    """The client's own use of its public methods is none of the app's."""
    token = _inside.set(True)
    try:
        yield
    finally:
        _inside.reset(token)


@dataclass(frozen=True)
class Administering:
    """The methods of an admin client.

    Attributes:
        client: the library.
    """

    client: Client

    def patches(self, module: str, kind: str, others: Iterable[str] = ()) -> Iterator[Patch]:
        """Give the patches.

        Args:
            module: of the class.
            kind: the class.
            others: methods that only this library has.
        """
        for name in (*METHODS, *others):
            yield Patch(module, f"{kind}.{name}", maker=self._asked(name), required=False)

    def _asked(self, operation: str) -> Callable[[Any], Any]:
        def maker(original: Any) -> Any:
            async def ask_async(admin: Any, *args: Any, **kwargs: Any) -> Any:
                if self.client.is_off or _inside.get():
                    return await original(admin, *args, **kwargs)
                question = self._question(operation, args, kwargs)
                if self.client.responder is not None:
                    return self._answered(question)
                with Asking(self.client.plugin, question, self.client.forms()) as asked, _own_use():
                    answer = await original(admin, *args, **kwargs)
                    asked.told(answer)
                return answer

            def ask(admin: Any, *args: Any, **kwargs: Any) -> Any:
                if self.client.is_off or _inside.get():
                    return original(admin, *args, **kwargs)
                question = self._question(operation, args, kwargs)
                if self.client.responder is not None:
                    return self._answered(question)
                with Asking(self.client.plugin, question, self.client.forms()) as asked, _own_use():
                    answer = original(admin, *args, **kwargs)
                    asked.told(answer)
                return answer

            return ask_async if inspect.iscoroutinefunction(original) else ask

        return maker

    def _question(self, operation: str, args: Any, kwargs: Any) -> Question | None:
        reads = operation.startswith(_READS)
        return self.client.guarded(
            "ask", lambda: Question.of(operation, self.client.forms(), args, kwargs, reads=reads)
        )

    def _answered(self, question: Question | None) -> Any:
        responder = self.client.responder
        assert responder is not None  # noqa: S101 - else nothing is answered
        if question is None:
            responder.refuse(f"{self.client.plugin}'s admin client was asked something that no recording can hold")
        return asking.answered(responder, question, self.client.forms())
