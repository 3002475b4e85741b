"""The same shop by Django, with a view of each kind."""

from __future__ import annotations

import os
import sqlite3
from typing import Any

import django
from django.conf import settings
from django.core.asgi import get_asgi_application
from django.http import HttpRequest, JsonResponse
from django.urls import path

settings.configure(ROOT_URLCONF=__name__, ALLOWED_HOSTS=["*"], SECRET_KEY="of a test")
django.setup()


def price(article: str) -> int:
    """What an article costs."""
    prices = {"pen": 3, "ink": 4}
    return prices.get(article, 0)


def ask(statement: str) -> list[Any]:
    """Ask the database."""
    connection = sqlite3.connect(os.environ["SHOP"])
    rows = connection.execute(statement).fetchall()  # asks
    connection.close()
    return rows


async def discount(_request: HttpRequest, article: str) -> JsonResponse:
    """Compute one, the long way."""
    total = 0  # entry
    for one in ("pen", "pen", "ink"):
        total += price(one)  # adds
    rows = ask("select 7")
    wrong = price(article)  # cause
    rows.append(("", article))
    rate = total // wrong  # fails
    return JsonResponse({"total": total, "rate": rate, "rows": len(rows)})


def discount_in_sync(_request: HttpRequest, article: str) -> JsonResponse:
    """The same, as Django runs it beside its event loop."""
    total = 0  # entry in sync
    for one in ("pen", "pen", "ink"):
        total += price(one)  # adds in sync
    rows = ask("select 7")
    wrong = price(article)  # cause in sync
    rows.append(("", article))
    rate = total // wrong  # fails in sync
    return JsonResponse({"total": total, "rate": rate, "rows": len(rows)})


urlpatterns = [path("discount/<article>", discount), path("sync/<article>", discount_in_sync)]
app = get_asgi_application()
