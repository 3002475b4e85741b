"""A FastAPI app on SQLAlchemy's asyncio extension, whose engine connects when the first request needs it."""

from __future__ import annotations

import asyncio
import os
from typing import Any

from fastapi import FastAPI
from sqlalchemy import String
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column


class Base(DeclarativeBase):
    """Of the tables."""


class Note(Base):
    """A line of text."""

    __tablename__ = "notes"
    number: Mapped[int] = mapped_column(primary_key=True)
    text: Mapped[str] = mapped_column(String(80))


engine = create_async_engine(os.environ["DATABASE_URL"], pool_pre_ping="PRE_PING" in os.environ)
app = FastAPI()


@app.post("/notes")
async def write(asked: dict[str, str]) -> dict[str, Any]:
    """Write a note, and read its number back."""
    async with AsyncSession(engine) as session:
        note = Note(text=asked["text"])
        session.add(note)
        await session.commit()
        await session.refresh(note)
        return {"number": note.number}


@app.get("/notes/{number}")
async def read(number: int) -> dict[str, Any]:
    """Read a note."""
    async with AsyncSession(engine) as session:
        return {"text": (await session.get_one(Note, number)).text}


async def create() -> None:
    """Make the tables."""
    async with engine.begin() as connection:
        await connection.run_sync(Base.metadata.create_all)


if __name__ == "__main__":
    asyncio.run(create())
