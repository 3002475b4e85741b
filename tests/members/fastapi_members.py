"""The members' shop over FastAPI, Motor and httpx."""

from __future__ import annotations

import asyncio
import os
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

import bcrypt
import httpx
import jwt
from argon2 import PasswordHasher
from argon2.exceptions import VerifyMismatchError
from bson import ObjectId
from fastapi import Depends, FastAPI, HTTPException, Response, UploadFile
from fastapi.responses import StreamingResponse
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from motor.motor_asyncio import AsyncIOMotorClient, AsyncIOMotorGridFSBucket
from pydantic import BaseModel, Field

Document = dict[str, Any]

SECRET = "a secret of the members' shop, long enough"
BANK = os.environ.get("BANK_URL", "http://127.0.0.1:9")
argon2 = PasswordHasher(time_cost=1, memory_cost=1024, parallelism=1)


class Member(BaseModel):
    """Who signs up."""

    name: str
    password: str
    scheme: str = "argon2"


class Order(BaseModel):
    """What a member orders; its number is made when it is read."""

    amount: int
    number: uuid.UUID = Field(default_factory=uuid.uuid4)


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Connect."""
    client: AsyncIOMotorClient[Document] = AsyncIOMotorClient(os.environ["MONGODB_URI"])
    app.state.shop = client.timetracer_members_fastapi
    app.state.files = AsyncIOMotorGridFSBucket(app.state.shop, chunk_size_bytes=1000)
    async with httpx.AsyncClient() as app.state.http:
        yield
    client.close()


app = FastAPI(lifespan=lifespan)


def member(credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(HTTPBearer(auto_error=False))]) -> str:
    """Take who asks from the token."""
    if credentials is None:
        raise HTTPException(401, "no token")
    try:
        return str(jwt.decode(credentials.credentials, SECRET, algorithms=["HS256"])["sub"])
    except jwt.ExpiredSignatureError as error:
        raise HTTPException(401, "the token has expired") from error
    except jwt.InvalidTokenError as error:
        raise HTTPException(401, "a bad token") from error


Asking = Annotated[str, Depends(member)]


def hashed(password: str, scheme: str) -> str:
    """Hash a password with the scheme that the member chose."""
    if scheme == "bcrypt":
        return bcrypt.hashpw(password.encode(), bcrypt.gensalt(4)).decode()
    return argon2.hash(password)


def fits(password: str, stored: str) -> bool:
    """Whether a password is the one that was hashed."""
    if stored.startswith("$2"):
        return bcrypt.checkpw(password.encode(), stored.encode())
    try:
        return argon2.verify(stored, password)
    except VerifyMismatchError:
        return False


@app.post("/members", status_code=201)
async def sign_up(asked: Member) -> Document:
    """Store a member with a hash of the password, made by a thread."""
    stored = await asyncio.to_thread(hashed, asked.password, asked.scheme)
    await app.state.shop.members.insert_one({"_id": asked.name, "hash": stored})
    return {"name": asked.name}


@app.post("/tokens")
async def log_in(asked: Member) -> Document:
    """Give a token for a name and a password."""
    found = await app.state.shop.members.find_one({"_id": asked.name})
    if found is None or not await asyncio.to_thread(fits, asked.password, found["hash"]):
        raise HTTPException(401, "wrong name or password")
    now = datetime.now(UTC)
    claims = {"sub": asked.name, "iat": now, "exp": now + timedelta(minutes=5), "jti": str(uuid.uuid4())}
    await app.state.shop.tokens.insert_one({"member": asked.name, "jti": claims["jti"], "at": now})
    return {"token": jwt.encode(claims, SECRET, "HS256")}


@app.post("/orders", status_code=201)
async def order(asked: Order, asking: Asking) -> Document:
    """Charge the member, store the order."""
    token = jwt.encode({"sub": "shop", "iat": datetime.now(UTC)}, SECRET, "HS256")
    reply = await app.state.http.post(
        f"{BANK}/charges",
        json={"member": asking, "amount": asked.amount, "number": str(asked.number)},
        headers={"Authorization": f"Bearer {token}"},
    )
    charge = reply.json()["id"]
    stored = await app.state.shop.orders.insert_one({"member": asking, "amount": asked.amount, "charge": charge})
    return {"id": str(stored.inserted_id), "charge": charge, "number": asked.number}


@app.get("/orders")
async def orders(asking: Asking) -> list[Document]:
    """List the member's orders: each member asks the same."""
    found = app.state.shop.orders.find({"member": asking}).sort("_id")
    return [{"id": str(one["_id"]), "amount": one["amount"]} async for one in found]


@app.post("/files", status_code=201)
async def upload(file: UploadFile, asking: Asking) -> Document:
    """Keep a file."""
    key = await app.state.files.upload_from_stream(file.filename, file.file, metadata={"member": asking})
    return {"id": str(key)}


@app.get("/files/{key}")
async def download(key: str, asking: Asking) -> Response:
    """Give a file back."""
    found = await app.state.files.open_download_stream(ObjectId(key))
    return Response(await found.read(), headers={"X-Uploaded": found.upload_date.isoformat(), "X-Reader": asking})


@app.get("/statement")
async def statement(asking: Asking) -> StreamingResponse:
    """Relay what the bank streams."""
    asked = app.state.http.build_request("GET", f"{BANK}/statement/{asking}")
    reply = await app.state.http.send(asked, stream=True)

    async def pieces() -> AsyncIterator[bytes]:
        async for piece in reply.aiter_raw():
            yield piece
        await reply.aclose()

    return StreamingResponse(pieces(), reply.status_code, media_type="text/plain")
