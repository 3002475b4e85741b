"""What an app asks of its cluster by an admin client: each of that client's methods is a call, plain or async."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, Final

from timetracer_otel.families.kafka.asking import Asking, Question
from timetracer_otel.families.kafka.methods import Client
from timetracer_otel.seams import Patch

__all__ = ["Admin"]

_READS: Final = (
    "describe_acls", "describe_cluster", "describe_configs", "describe_consumer_groups", "describe_groups",
    "describe_log_dirs", "describe_topics", "find_coordinator", "list_consumer_group_offsets", "list_consumer_groups",
    "list_group_offsets", "list_groups", "list_partition_offsets", "list_topics", "wait_for_topics",
)  # fmt: skip
_TELLS: Final = (
    "alter_configs", "alter_group_offsets", "create_acls", "create_partitions", "create_topics", "delete_acls",
    "delete_consumer_groups", "delete_group_offsets", "delete_groups", "delete_records", "delete_topics",
    "reset_configs", "reset_group_offsets",
)  # fmt: skip
_inside: ContextVar[bool] = ContextVar("timetracer_administering", default=False)


@dataclass(frozen=True)
class Admin(Client):
    """A client library's admin clients, which use their public methods themselves and are in no group."""

    @classmethod
    def of(cls, client: Client) -> Admin:
        """Give those of a library.

        Args:
            client: the library.
        """
        return cls(client.plugin, client.forms, lambda _admin: "")

    def all_patches(self, module: str, kind: str) -> Iterator[Patch]:
        """Give the patches of all methods that some library has.

        Args:
            module: of the class.
            kind: the class.
        """
        return self.patches(module, kind, reads=_READS, tells=_TELLS)

    @contextmanager
    def _asking(self, question: Question | None) -> Iterator[Asking]:
        """The client's own use of its public methods meanwhile is none of the app's."""
        token = _inside.set(True)
        try:
            with super()._asking(question) as asked:
                yield asked
        finally:
            _inside.reset(token)

    def _is_inside(self, _instance: Any) -> bool:
        return _inside.get()
