"""What a consumer takes messages of: in a replay there is nobody to tell it, so it is only remembered."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from timetracer_otel.families.kafka.methods import Client
from timetracer_otel.seams import Patch

__all__ = ["Subscribing"]


@dataclass(frozen=True)
class Subscribing:
    """The methods of a consumer by which it subscribes, as aiokafka and kafka-python have them.

    Attributes:
        client: the library.
    """

    client: Client

    def patches(self, module: str, kind: str) -> Iterator[Patch]:
        """Give the patches.

        Args:
            module: of the class.
            kind: the class.
        """
        makers = (self._assign, self._pause, self._paused, self._resume, self._subscribe, self._unsubscribe)
        for maker in makers:
            yield Patch(module, f"{kind}.{maker.__name__.removeprefix('_')}", maker=maker)

    def _subscribe(self, original: Any) -> Any:
        def subscribe(consumer: Any, topics: Any = (), pattern: Any = None, listener: Any = None) -> None:
            if self.client.responder is None:
                original(consumer, topics=topics, pattern=pattern, listener=listener)
                return
            loop = self.client.loop(consumer)
            loop.topics, loop.pattern = set(topics), None if pattern is None else re.compile(pattern)

        return subscribe

    def _unsubscribe(self, original: Any) -> Any:
        def unsubscribe(consumer: Any) -> None:
            if self.client.responder is None:
                original(consumer)
                return
            self.client.loop(consumer).subscribes_to_nothing()

        return unsubscribe

    def _assign(self, original: Any) -> Any:
        def assign(consumer: Any, partitions: Any) -> None:
            if self.client.responder is None:
                original(consumer, partitions)
                return
            self.client.loop(consumer).partitions = {tuple(one) for one in partitions}

        return assign

    def _pause(self, original: Any) -> Any:
        def pause(consumer: Any, *partitions: Any) -> None:
            if self.client.responder is None:
                original(consumer, *partitions)
                return
            self.client.loop(consumer).paused |= {tuple(one) for one in partitions}

        return pause

    def _resume(self, original: Any) -> Any:
        def resume(consumer: Any, *partitions: Any) -> None:
            if self.client.responder is None:
                original(consumer, *partitions)
                return
            self.client.loop(consumer).paused -= {tuple(one) for one in partitions}

        return resume

    def _paused(self, original: Any) -> Any:
        def paused(consumer: Any) -> Any:
            if self.client.responder is None:
                return original(consumer)
            made = self.client.forms().makes["TopicPartition"]
            return {made(*one) for one in self.client.loop(consumer).paused}

        return paused
