"""No secret that the driver handles is ever in a cassette."""

from __future__ import annotations

import base64
import re
from pathlib import Path
from typing import Any

import pytest
from pymongo.errors import PyMongoError

from tests.pymongo.driver import DRIVERS
from tests.pymongo.harness import requests, run, twice
from timetracer_otel import testing

SECRET = "hunter2-very-secret"
BASE64 = re.compile(rb"(?:[A-Za-z0-9+/]{4}){4,}(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?")


def everything_in(folder: Path) -> bytes:
    """Give all bytes of the files, and all that is base64 in them, decoded."""
    written = b"".join(file.read_bytes() for file in folder.rglob("*") if file.is_file())
    return written + b"".join(base64.b64decode(found[0]) for found in BASE64.finditer(written))


@pytest.mark.parametrize("driver", DRIVERS)
def test_passwords_of_users_stay_out(mongo_uri: str, tmp_path: Path, driver: str) -> None:
    """Creating or changing a user records and replays without the password."""
    get = DRIVERS[driver].get

    async def manage(client: Any) -> list[object]:
        db = client.secrets
        said = []
        for command in ("dropUser", "createUser", "updateUser"):
            extra: dict[str, Any] = {"pwd": SECRET} | ({"roles": []} if command == "createUser" else {})
            try:
                said.append(
                    (await get(db.command(command, f"ann-{driver}", **(extra if command != "dropUser" else {}))))["ok"]
                )
            except PyMongoError as error:
                said.append(type(error).__name__)
        return said

    found = twice(tmp_path, lambda uri: run(DRIVERS[driver], manage, uri), mongo_uri)
    assert found.recorded == found.replayed
    assert any(b"createUser" in request for request in requests(tmp_path))
    assert SECRET.encode() not in everything_in(tmp_path)


@pytest.mark.parametrize("driver", DRIVERS)
def test_credentials_of_the_uri_stay_out(mongo_uri: str, tmp_path: Path, driver: str) -> None:
    """Neither the URI's password nor anything of a log-in is written, whether it succeeds or fails."""
    uri = mongo_uri.replace("mongodb://", f"mongodb://root:{SECRET}@")
    get = DRIVERS[driver].get

    async def log_in(client: Any) -> str:
        try:
            return str(await get(client.secrets.things.find_one()))
        except PyMongoError as error:
            return type(error).__name__

    with testing.record(tmp_path):
        run(DRIVERS[driver], log_in, uri, serverSelectionTimeoutMS=2000)
        run(DRIVERS[driver], log_in, mongo_uri)
    written = everything_in(tmp_path)
    assert SECRET.encode() not in written
    assert b"SCRAM" not in written
    assert not [request for request in requests(tmp_path) if b"sasl" in request]
