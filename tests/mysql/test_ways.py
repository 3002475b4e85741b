"""Ways to a server: TLS, a Unix socket; recorded by one, replayed by another."""

from __future__ import annotations

import asyncio
import os
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any

import aiomysql
import asyncmy
import pymysql
import pytest
import trustme

from tests.mysql.async_scenarios import at
from tests.support.mysql import ELSEWHERE, MysqlServer
from timetracer_otel import testing

pytestmark = pytest.mark.system


def by_pymysql(**options: Any) -> Any:
    """Ask something."""
    with pymysql.connect(**options) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT 6 * 7, DATABASE()")
        return cursor.fetchall()


def by_aiomysql(**options: Any) -> Any:
    """The same."""

    async def ask() -> Any:
        async with aiomysql.connect(**at(options)) as connection, connection.cursor() as cursor:
            await cursor.execute("SELECT 6 * 7, DATABASE()")
            return await cursor.fetchall()

    return asyncio.run(ask())


def by_asyncmy(**options: Any) -> Any:
    """The same."""

    async def ask() -> Any:
        async with asyncmy.connect(**at(options)) as connection, connection.cursor() as cursor:
            await cursor.execute("SELECT 6 * 7, DATABASE()")
            return await cursor.fetchall()

    return asyncio.run(ask())


@pytest.mark.parametrize("program", [by_pymysql, by_aiomysql, by_asyncmy])
def test_the_way_does_not_count(program: Callable[..., Any], installed: MysqlServer, tmp_path: Path) -> None:
    """What was recorded over TLS, or a Unix socket, is replayed without; and the other way round."""
    authority, trusting = trustme.CA(), ssl.create_default_context()
    authority.configure_trust(trusting)
    issued = authority.issue_cert("127.0.0.1", "db.nowhere.example")
    certificate = installed.put("server.pem", issued.private_key_and_cert_chain_pem.bytes())
    installed.start(f"--ssl-cert={certificate}", f"--ssl-key={certificate}")
    ways: dict[str, dict[str, Any]] = {
        "tls": {"ssl": trusting},
        "socket": {"unix_socket": installed.socket},
        "plain": {"ssl_disabled": True} if program is by_pymysql else {},
    }
    try:
        for name, options in ways.items():
            with testing.record(tmp_path / name):
                assert program(**installed.address, **options) == ((42, "shop"),)
    finally:
        installed.stop()
    others = {**ways, "socket": {"unix_socket": os.fspath(tmp_path / "nothing")}}
    for name in ways:
        for options in others.values():
            with testing.replay(tmp_path / name) as replay:
                assert program(**ELSEWHERE, **options) == ((42, "shop"),)
            assert (replay.outcome().misses, replay.outcome().unused) == ([], [])
