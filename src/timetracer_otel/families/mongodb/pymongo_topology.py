"""The servers that the driver knew when a command was recorded: which there were, and what each was in its set."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any, Final

__all__ = ["SEEDS", "SERVERS", "facts", "greeting", "hosts", "is_down", "keep", "known", "recorded_beside"]

SERVERS = "servers"
"""What each server was, by address, in the facts that a call carries: a name of the driver's server types."""
SET = "set"
"""The name of the replica set, likewise."""
SEEDS = "seeds"
"""The addresses by which the members were found, and which none of them calls itself by."""

_Address = tuple[str, int | None]
_Facts = dict[str, Any]

_DOWN = "Unknown"
_ROLES: dict[str, dict[str, Any]] = {
    "RSPrimary": {"isWritablePrimary": True, "ismaster": True},
    "RSSecondary": {"isWritablePrimary": False, "ismaster": False, "secondary": True},
    "RSArbiter": {"isWritablePrimary": False, "ismaster": False, "arbiterOnly": True},
    "RSOther": {"isWritablePrimary": False, "ismaster": False, "hidden": True},
    "RSGhost": {"isWritablePrimary": False, "ismaster": False, "isreplicaset": True},
}
"""How a member says what it is (MongoDB specification "Server Discovery And Monitoring", section "type")."""

known: Final[dict[_Address, Any]] = {}
"""What the driver last knew of the servers when it chose one for a command, by the chosen one's address."""
_found_by: Final[dict[_Address, list[_Address]]] = {}
"""The addresses that the URI names, likewise."""


def keep(topology: Any, address: _Address) -> None:
    """Keep what the driver knows of the servers now that it chooses one.

    Args:
        topology: the driver's.
        address: of the chosen one.
    """
    description = topology.description
    if known.get(address) is not description:
        _found_by[address] = topology._settings.seeds  # noqa: SLF001 - the driver keeps what the URI names there
        known[address] = description


def facts(description: Any, address: _Address) -> _Facts:
    """Give of a description what a replay needs; nothing of a server that stands alone.

    Args:
        description: of all servers.
        address: of the chosen one.
    """
    servers = description.server_descriptions()
    if description.replica_set_name is None and len(servers) < 2:  # noqa: PLR2004 - alone
        return {}
    seeds = [_name(seed) for seed in _found_by.get(address, ()) if seed not in servers]
    return {
        SET: description.replica_set_name,
        SERVERS: {_name(address): server.server_type_name for address, server in servers.items()},
    } | ({SEEDS: seeds} if seeds else {})


def _name(address: _Address) -> str:
    return f"{address[0]}:{address[1]}" if address[1] is not None else address[0]


def recorded_beside(recorded: Iterable[str], address: _Address, set_name: str | None) -> _Facts | None:
    """Find the recorded servers that an address belongs to.

    Args:
        recorded: the facts of all calls.
        address: that the driver connects to.
        set_name: the replica set that the URI wants.

    Returns:
        The facts with the most servers that were up; None when no recorded call knew of such servers.
    """
    beside = [
        described
        for described in _described(recorded)
        if _name(address) in (*described[SERVERS], *described.get(SEEDS, ())) and set_name in {None, described.get(SET)}
    ]
    return max(beside, key=_up, default=None)


def hosts(recorded: Iterable[str]) -> list[_Address]:
    """The servers behind the only domain that was recorded; none when there were several sets, or none was known."""
    found = _described(recorded)
    if len({described.get(SET) for described in found}) != 1:
        return []
    names = [name.rpartition(":") for name in max(found, key=_up)[SERVERS]]
    return [(host, int(port)) for host, _, port in names if port.isdecimal()]


def _described(recorded: Iterable[str]) -> list[_Facts]:
    return [
        described
        for described in map(json.loads, recorded)
        if isinstance(described.get(SERVERS), dict) and isinstance(described.get(SEEDS, []), list)
    ]


def _up(described: _Facts) -> int:
    return sum(kind != _DOWN for kind in described[SERVERS].values())


def is_down(described: _Facts | None, address: _Address) -> bool:
    """Whether the driver could not reach a server."""
    return described is not None and bool(described[SERVERS].get(_name(address)) == _DOWN)


def greeting(described: _Facts, address: _Address) -> dict[str, Any] | None:
    """Say what a member of a replica set says of itself and the others; None of a server that is in none.

    Args:
        described: the recorded servers.
        address: that the driver believes in, one of the recorded: behind a seed that no member calls itself by is the
            primary, as behind a name that leads to any of them.
    """
    if described.get(SET) is None:
        return None
    servers: dict[str, str] = described[SERVERS]
    primary = next((name for name, kind in servers.items() if kind == "RSPrimary"), None)
    me = _name(address) if _name(address) in servers else primary or next(iter(servers))
    member: dict[str, Any] = {
        "setName": described[SET], "setVersion": 1, "me": me,
        "hosts": [name for name, kind in servers.items() if kind != "RSArbiter"],
        "arbiters": [name for name, kind in servers.items() if kind == "RSArbiter"],
    }  # fmt: skip
    if primary is not None:
        member["primary"] = primary
    return member | _ROLES.get(servers[me], _ROLES["RSSecondary"])
