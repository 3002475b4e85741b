"""What installed libraries draw, in a program: each line is what one of them made. Tests compare two runs."""

# ruff: noqa: PLC0415 - imported when asked for: the first use of a library draws more than later ones
# ruff: noqa: T201 - it is a program

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

__all__ = ["LIBRARIES"]

SECRET = "not a secret, and long enough for a signature"


def passlib() -> Any:
    """A salt from a generator of its own, which is seeded at the first use."""
    from passlib.context import CryptContext

    context = CryptContext(schemes=["pbkdf2_sha256"], pbkdf2_sha256__rounds=1)
    return [context.hash("secret") for _ in range(2)]


def bcrypt() -> Any:
    """A salt from Rust."""
    import bcrypt

    return bcrypt.gensalt(4), bcrypt.hashpw(b"secret", bcrypt.gensalt(4, prefix=b"2a"))


def argon2() -> Any:
    """A salt by os.urandom."""
    from argon2 import PasswordHasher

    return PasswordHasher(time_cost=1, memory_cost=64).hash("secret")


def pwdlib() -> Any:
    """A hash as FastAPI's tutorial makes one."""
    from pwdlib import PasswordHash
    from pwdlib.hashers.argon2 import Argon2Hasher
    from pwdlib.hashers.bcrypt import BcryptHasher

    hashers = Argon2Hasher(time_cost=1, memory_cost=64), BcryptHasher(4)
    return [PasswordHash([one]).hash("secret") for one in hashers]


def werkzeug() -> Any:
    """A salt, character by character."""
    from werkzeug.security import generate_password_hash

    return generate_password_hash("secret", "pbkdf2:sha256:1")


def itsdangerous() -> Any:
    """A time in a signed text, read again."""
    from itsdangerous import URLSafeTimedSerializer

    signer = URLSafeTimedSerializer(SECRET)
    signed = signer.dumps("me")
    return signed, signer.loads(signed, max_age=60, return_timestamp=True)


def jwt() -> Any:
    """A token that is still good when it is looked at in the time of the recording."""
    import time

    import jwt

    token = jwt.encode({"iat": int(time.time()), "exp": int(time.time()) + 60}, SECRET, "HS256")
    return token, jwt.decode(token, SECRET, ["HS256"])


def oauthlib() -> Any:
    """A nonce and a time, signed."""
    from oauthlib.oauth1 import Client

    return Client("key", client_secret=SECRET).sign("http://localhost/")[1]["Authorization"]


def google_auth() -> Any:
    """A token for the token."""
    from google.auth import jwt

    class Signer:
        key_id = "1"

        def sign(self, message: bytes) -> bytes:
            return message[-8:]

    credentials: Any = jwt.Credentials(Signer(), "me", "me", "them")  # type: ignore[no-untyped-call]
    credentials.refresh(None)
    return credentials.token, str(credentials.expiry), credentials.valid


def botocore() -> Any:
    """A role's session name, and a signature with its date."""
    from botocore.auth import SigV4Auth
    from botocore.awsrequest import AWSRequest
    from botocore.credentials import AssumeRoleCredentialFetcher, Credentials

    fetcher = AssumeRoleCredentialFetcher(None, None, "arn:aws:iam::1:role/r")
    request = AWSRequest("GET", "http://localhost/")
    SigV4Auth(Credentials("a", "b"), "s3", "us-east-1").add_auth(request)
    return fetcher._assume_kwargs["RoleSessionName"], str(request.headers)


def cryptography() -> Any:
    """A key from OpenSSL, and Fernet's, with its time."""
    from cryptography.fernet import Fernet
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    key = Fernet.generate_key()
    return AESGCM.generate_key(128), key, Fernet(key).encrypt(b"secret")


def uuid_utils() -> Any:
    """Ids from Rust, of two classes."""
    import uuid_utils
    import uuid_utils.compat

    return [repr(make()) for make in (uuid_utils.uuid4, uuid_utils.uuid7, uuid_utils.compat.uuid7)]


def uuid6() -> Any:
    """Ids that never go back in time."""
    import uuid6

    return [repr(make()) for make in (uuid6.uuid6, uuid6.uuid7, uuid6.uuid7)]


def fastuuid() -> Any:
    """Ids from Rust, of one class."""
    import fastuuid

    return [repr(make()) for make in (fastuuid.uuid4, fastuuid.uuid7)]


def cuid2() -> Any:
    """Ids that count on from a process's first one."""
    from cuid2 import Cuid, create_id

    return create_id(), create_id(9), Cuid(length=10).generate(), Cuid().generate(12)


def snowflake() -> Any:
    """Numbers that count on, and none where there are too many for a millisecond."""
    from snowflake import MAX_SEQ, SnowflakeGenerator  # type: ignore[import-untyped]  # it has no annotations

    return next(SnowflakeGenerator(42)), {next(SnowflakeGenerator(1, seq=MAX_SEQ)) for _ in range(50)}


def pydantic() -> Any:
    """Defaults of a model."""
    from datetime import UTC, datetime
    from functools import partial
    from uuid import UUID, uuid4

    from pydantic import BaseModel, Field

    class Order(BaseModel):
        id: UUID = Field(default_factory=uuid4)
        at: datetime = Field(default_factory=partial(datetime.now, UTC))

    return repr(Order()), repr(Order())


def multipart() -> Any:
    """Boundaries of three clients."""
    import httpx
    import requests

    files = {"file": ("name", b"content")}
    sent = httpx.Request("POST", "http://localhost/", files=files)
    prepared = requests.Request("POST", "http://localhost/", files=files).prepare()
    return sent.headers["Content-Type"], prepared.headers["Content-Type"]


def email() -> Any:
    """A date, a boundary, and the id of a message, in which the process is named."""
    from email.mime.multipart import MIMEMultipart
    from email.utils import formatdate, make_msgid

    return formatdate(), MIMEMultipart().as_string(), make_msgid(domain="example.org"), formatdate()


def cookies() -> Any:
    """Whether a cookie is sent is decided by the clock."""
    from http.cookiejar import CookieJar
    from http.cookies import SimpleCookie

    cookie = SimpleCookie({"a": "b"})
    cookie["a"]["expires"] = 60
    CookieJar().clear_expired_cookies()
    return cookie.output()


def gzip() -> Any:
    """The time in its head."""
    import gzip

    return gzip.compress(b"text").hex()


def pool() -> Any:
    """Threads of a pool draw by libraries, each its own."""
    from argon2 import PasswordHasher

    hasher = PasswordHasher(time_cost=1, memory_cost=64)
    with ThreadPoolExecutor(4) as threads:
        return list(threads.map(hasher.hash, map(str, range(8))))


def threads() -> Any:
    """Likewise threads that are started as such."""
    from werkzeug.security import gen_salt

    made: dict[int, str] = {}
    started = [threading.Thread(target=lambda n=n: made.__setitem__(n, gen_salt(9))) for n in range(6)]
    for thread in started:
        thread.start()
    for thread in started:
        thread.join()
    return sorted(made.items())


async def _tasks() -> list[str]:
    import random

    from werkzeug.security import gen_salt

    async def salt() -> str:
        await asyncio.sleep(random.Random().random() / 100)
        return gen_salt(9)

    return await asyncio.gather(*(salt() for _ in range(6)))


def tasks() -> Any:
    """Tasks on asyncio's loop."""
    return asyncio.run(_tasks())


def uvloop() -> Any:
    """Tasks on uvloop."""
    import uvloop

    return uvloop.run(_tasks())


LIBRARIES: dict[str, Callable[[], Any]] = {
    one.__name__: one
    for one in (
        passlib, bcrypt, argon2, pwdlib, werkzeug, itsdangerous, jwt, oauthlib, google_auth, botocore, cryptography,
        uuid_utils, uuid6, fastuuid, cuid2, snowflake, pydantic, multipart, email, cookies, gzip, pool, threads, tasks,
        uvloop,
    )
}  # fmt: skip

if __name__ == "__main__":
    for name in sys.argv[1:] or LIBRARIES:
        print(name, repr(LIBRARIES[name]()), sep=": ", flush=True)
