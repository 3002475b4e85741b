"""The shop by FastAPI: an endpoint that awaits, and one that runs in a thread."""

from __future__ import annotations

import asyncio
from typing import Any

from fastapi import FastAPI

from tests.debugging.shop_flask import ask, price

app = FastAPI()


async def look_up(article: str) -> int:
    """Ask for a price, later."""
    await asyncio.sleep(0)
    return price(article)


@app.get("/discount/{article}")
async def discount(article: str) -> dict[str, Any]:
    """Compute one, awaiting."""
    total = 0  # entry
    for one in ("pen", "pen", "ink"):
        total += await look_up(one)  # adds
    rows, _ = await asyncio.gather(asyncio.to_thread(ask, "select 7"), look_up("pen"))
    wrong = await look_up(article)  # cause
    rate = total // wrong  # fails
    return {"total": total, "rate": rate, "rows": len(rows)}


@app.get("/sync/{article}")
def sync(article: str) -> dict[str, Any]:
    """Compute one in a thread."""
    total = 0  # entry of sync
    for one in ("pen", "pen", "ink"):
        total += price(one)  # adds in sync
    rows = ask("select 7")
    wrong = price(article)  # cause in sync
    rate = total // wrong  # fails in sync
    return {"total": total, "rate": rate, "rows": len(rows)}
