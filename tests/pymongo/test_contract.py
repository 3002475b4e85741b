"""Every operation of the driver gives the same values of the same types in replay, with no server to ask."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest

from tests.pymongo.driver import DRIVERS
from tests.pymongo.harness import Both, both
from tests.pymongo.operations import OPERATIONS, Use
from tests.pymongo.shown import renamed, text

LACKING = {"motor": {"client_bulk_write"}}
"""What a driver does not have."""
NAMES = [(driver, name) for driver in DRIVERS for name in OPERATIONS if name not in LACKING.get(driver, ())]


async def everything(driver: str, client: Any) -> dict[str, str]:
    """Use each operation in turn."""
    said = {}
    for name in [name for one, name in NAMES if one == driver]:
        use = Use(DRIVERS[driver], client, client[f"contract_{driver}_{name}"])
        try:
            said[name] = text(await OPERATIONS[name](use))
        except Exception as error:  # noqa: BLE001 - each failure belongs to its own test
            said[name] = f"failed: {type(error).__name__}: {error}"
    return said


@pytest.fixture(scope="module")
def contracts(mongo_uri: str, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Both]:
    """Everything, recorded and replayed, by driver."""
    return {
        name: both(tmp_path_factory.mktemp(name), driver, partial(everything, name), mongo_uri)
        for name, driver in DRIVERS.items()
    }


@pytest.mark.parametrize(("driver", "name"), NAMES)
def test_operation_replays_with_values_and_types(contracts: dict[str, Both], driver: str, name: str) -> None:
    """Result, exception and documents of the operation are the recorded ones, but for ids that the app makes anew."""
    contract = contracts[driver]
    assert not contract.recorded[name].startswith("failed"), contract.recorded[name]
    assert renamed(contract.replayed[name]) == renamed(contract.recorded[name])


@pytest.mark.parametrize("driver", DRIVERS)
def test_nothing_is_missed_refused_or_left_over(contracts: dict[str, Both], driver: str) -> None:
    """Every recorded command is asked for again, none else, and no connection is tried."""
    outcome = contracts[driver].outcome
    assert ([miss["message"] for miss in outcome.misses], outcome.refused) == ([], [])
