"""A library on PostgreSQL with asyncpg, which asks a catalogue of books through httpx."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
import httpx
from fastapi import FastAPI, HTTPException, Request
from fastapi.responses import StreamingResponse

TABLES = """
    CREATE TABLE IF NOT EXISTS book (
        id serial PRIMARY KEY, isbn text UNIQUE, title text, price numeric, copies int, added timestamptz DEFAULT now()
    );
    CREATE TABLE IF NOT EXISTS loan (
        id uuid PRIMARY KEY DEFAULT gen_random_uuid(), book int REFERENCES book, reader text, due date
    );
"""


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Connect to the database and the catalogue."""
    async with asyncpg.create_pool(os.environ["DATABASE_URL"], min_size=1, max_size=4) as app.state.pool:
        await app.state.pool.execute(TABLES)
        async with httpx.AsyncClient(base_url=os.environ["CATALOGUE_URL"]) as app.state.catalogue:
            yield


app = FastAPI(lifespan=lifespan)


def shown(row: Any) -> dict[str, Any]:
    """Give a row as JSON has it."""
    return {name: str(value) if name in {"id", "price", "added", "due"} else value for name, value in row.items()}


@app.post("/books", status_code=201)
async def add(request: Request) -> dict[str, Any]:
    """Add a book, with the title and the price that the catalogue says."""
    asked = await request.json()
    found = await app.state.catalogue.get(f"/books/{asked['isbn']}")
    if found.status_code != httpx.codes.OK:
        raise HTTPException(404, "the catalogue does not have it")
    try:
        row = await app.state.pool.fetchrow(
            "INSERT INTO book (isbn, title, price, copies) VALUES ($1, $2, $3::text::numeric, $4) RETURNING *",
            asked["isbn"], found.json()["title"], found.json()["price"], asked["copies"],
        )  # fmt: skip
    except asyncpg.UniqueViolationError as error:
        raise HTTPException(409, error.detail) from error
    return shown(row)


@app.get("/books")
async def books() -> list[dict[str, Any]]:
    """List the books."""
    return [shown(row) for row in await app.state.pool.fetch("SELECT * FROM book ORDER BY title")]


@app.get("/books.csv")
async def table() -> StreamingResponse:
    """Stream the books from a cursor of the server."""

    async def lines() -> AsyncIterator[str]:
        async with app.state.pool.acquire() as connection, connection.transaction():
            async for row in connection.cursor("SELECT isbn, title, copies FROM book ORDER BY isbn", prefetch=1):
                yield f"{row['isbn']};{row['title']};{row['copies']}\n"

    return StreamingResponse(lines(), media_type="text/csv")


@app.post("/loans", status_code=201)
async def lend(request: Request) -> dict[str, Any]:
    """Lend a book, if a copy is left; all of it or nothing."""
    asked = await request.json()
    async with app.state.pool.acquire() as connection, connection.transaction():
        book = await connection.fetchrow("SELECT id, copies FROM book WHERE isbn = $1 FOR UPDATE", asked["isbn"])
        if book is None or not book["copies"]:
            raise HTTPException(409, "no copy is left")
        await connection.execute("UPDATE book SET copies = copies - 1 WHERE id = $1", book["id"])
        row = await connection.fetchrow(
            "INSERT INTO loan (book, reader, due) VALUES ($1, $2, current_date + 14) RETURNING id, reader, due",
            book["id"], asked["reader"],
        )  # fmt: skip
    return shown(row)


@app.get("/loans/{reader}")
async def loans(reader: str) -> list[dict[str, Any]]:
    """List what a reader has."""
    rows = await app.state.pool.fetch(
        "SELECT loan.id, title, due FROM loan JOIN book ON book.id = loan.book WHERE reader = $1 ORDER BY title", reader
    )
    return [shown(row) for row in rows]
