"""A Flask app on SQLAlchemy, whose engine connects when the first request needs it."""

from __future__ import annotations

import os
from typing import Any

from flask import Flask, request
from sqlalchemy import String, create_engine, text
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column


class Base(DeclarativeBase):
    """Of the tables."""


class Note(Base):
    """A line of text."""

    __tablename__ = "notes"
    number: Mapped[int] = mapped_column(primary_key=True)
    text: Mapped[str] = mapped_column(String(80))


engine = create_engine(
    os.environ["DATABASE_URL"],
    isolation_level=os.environ.get("ISOLATION_LEVEL") or None,
    pool_pre_ping="PRE_PING" in os.environ,
)
app = Flask(__name__)


@app.post("/notes")
def write() -> dict[str, Any]:
    """Write a note, ask in the transaction what SQLAlchemy had asked before it, and read the number back."""
    with Session(engine) as session:
        note = Note(text=request.get_json()["text"])
        session.add(note)
        session.flush()
        session.execute(text("SELECT VERSION()"))
        session.commit()
        return {"number": note.number}


@app.get("/notes/<int:number>")
def read(number: int) -> dict[str, Any]:
    """Read a note."""
    with Session(engine) as session:
        return {"text": session.get_one(Note, number).text}


if __name__ == "__main__":
    Base.metadata.create_all(engine)
