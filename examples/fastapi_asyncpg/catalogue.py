"""The catalogue: gone when the library is replayed."""

from __future__ import annotations

from fastapi import FastAPI, HTTPException

BOOKS = {
    "978-0-14-143957-6": {"title": "Pride and Prejudice", "price": "7.99"},
    "978-0-06-093546-7": {"title": "To Kill a Mockingbird", "price": "12.50"},
}
app = FastAPI()


@app.get("/books/{isbn}")
async def book(isbn: str) -> dict[str, str]:
    """Show a book."""
    if isbn not in BOOKS:
        raise HTTPException(404, "no such book")
    return BOOKS[isbn]
