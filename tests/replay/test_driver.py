"""Which request is sent when."""

from __future__ import annotations

import pytest

from timetracer_otel.cassette.shelf import Catalog, Outline
from timetracer_otel.errors import ConfigError
from timetracer_otel.replay.verifying.driver import grouped, sharded
from timetracer_otel.replay.verifying.options import Options
from timetracer_otel.replay.verifying.verify import verify


def lane(number: int, cookies: str = "", service: str = "shop") -> Outline:
    """A recorded request."""
    return Outline(
        str(number), ("f",), number, method="GET", target="/", group=cookies, service=service, is_drivable=True
    )


def test_recorded_order_starts_one_after_the_other() -> None:
    """Each request is a group of its own."""
    lanes = [lane(1, "a"), lane(2, "b"), lane(3, "a")]
    assert grouped(lanes, "recorded") == [[one] for one in lanes]


def test_requests_of_one_cookie_stay_in_order() -> None:
    """Those with the same Cookie header are one group; those without are on their own."""
    lanes = [lane(1, "a"), lane(2, "b"), lane(3, "a"), lane(4), lane(5)]
    assert [[one.id for one in group] for group in grouped(lanes, "cookies")] == [["1", "3"], ["2"], ["4"], ["5"]]


def test_shards_share_all_groups() -> None:
    """Every group is in one shard."""
    groups = grouped([lane(number) for number in range(7)], "recorded")
    shards = [sharded(groups, (number, 3)) for number in (1, 2, 3)]
    assert sorted(group[0].start for shard in shards for group in shard) == list(range(7))


def test_several_services_must_be_chosen_from() -> None:
    """Requests of one service are no requests for another."""
    found = Catalog((lane(1), lane(2, service="stock")))
    options = Options(["true"], lambda _catalog, _folder: {})
    with pytest.raises(ConfigError, match=r"choose one with --service \(shop, stock\)"):
        verify(found, options)
