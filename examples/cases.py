"""What the demo runs and asks."""

from __future__ import annotations

import shutil
from pathlib import Path

from examples.asking import Ask, Example, Peer, Script, WebApp
from examples.kafka import Consumer

_HERE = Path(__file__).resolve().parent

SHOP = WebApp(
    folder=_HERE / "flask_pymongo",
    command=("flask", "run"),
    asks=(
        Ask("POST", "/users", {"id": "ada", "email": "ada@example.org"}, status=201),
        Ask("POST", "/users", {"id": "grace", "email": "grace@example.org"}, status=201),
        Ask("POST", "/users", {"id": "eve", "email": "ada@example.org"}, status=409),
        Ask("GET", "/users/ada"),
        Ask("GET", "/users/nobody", status=404),
        Ask("POST", "/checkout", {"id": "o-1", "user": "ada", "items": {"tea": 2, "cup": 1}}, status=201),
        Ask("POST", "/checkout", {"id": "o-2", "user": "ada", "items": {"tea": 1, "cup": 9}}, status=409),
        Ask("GET", "/products/tea"),
        Ask("GET", "/users/ada"),
        Ask("POST", "/orders/import", {"user": "grace", "count": 300}, status=201),
        Ask("GET", "/orders/grace"),
        Ask("GET", "/orders/grace.csv"),
        Ask("GET", "/sales"),
        Ask("HEAD", "/users/ada"),
        Ask("DELETE", "/users/grace", status=204),
        Ask("GET", "/users/grace", status=404),
    ),
)


def _board(client: str) -> tuple[Ask, ...]:
    return (
        Ask("POST", f"/{client}/tasks", {"id": "t1", "title": "Write a test"}, status=201),
        Ask("POST", f"/{client}/tasks", {"id": "t1", "title": "Write it again"}, status=409),
        Ask("GET", f"/{client}/tasks/t1"),
        Ask("PATCH", f"/{client}/tasks/t1", {"state": "doing"}),
        Ask("POST", f"/{client}/fill", {"count": 300}, status=201),
        Ask("GET", f"/{client}/tasks"),
        Ask("GET", f"/{client}/board"),
        Ask("DELETE", f"/{client}/done", status=204),
        Ask("GET", f"/{client}/board"),
        Ask("GET", f"/{client}/tasks/nothing", status=404),
    )


BOARD = WebApp(
    folder=_HERE / "starlette_motor",
    command=("uvicorn", "app:app"),
    asks=(*_board("async"), *_board("motor")),
)
JOB = Script(folder=_HERE / "etl_script", command=("python", "etl.py"))
STRICT_JOB = Script(folder=_HERE / "etl_script", command=("python", "etl.py", "--strict"), status=1)

CHECKOUT = WebApp(
    folder=_HERE / "flask_checkout",
    command=("flask", "run"),
    asks=(
        Ask("POST", "/checkout", {"id": "o-1", "items": {"tea": 2, "cup": 1}}, status=201),
        Ask("POST", "/checkout", {"id": "o-2", "items": {"cup": 9}}, status=402),
        Ask("POST", "/checkout", {"id": "o-3", "items": {"tea": 1}}, status=201),
        Ask("GET", "/orders/o-1"),
        Ask("GET", "/orders/o-3"),
        Ask("GET", "/orders/o-2", status=404),
        Ask("GET", "/receipts/o-1"),
    ),
    peers=(Peer("PAYMENTS_URL", ("flask", "--app", "payments", "run")),),
)
WEBHOOK = WebApp(
    folder=_HERE / "starlette_webhook",
    command=("uvicorn", "app:app"),
    asks=(
        Ask("POST", "/webhook", {"text": "hello", "users": ["ada", "countess", "grace", "nobody"]}, status=202),
        Ask("POST", "/webhook", {"text": "again", "users": ["grace"]}, status=202),
        Ask("GET", "/log"),
    ),
    peers=(
        Peer("ACCOUNTS_URL", ("uvicorn", "services:accounts")),
        Peer("NOTIFY_URL", ("uvicorn", "services:notify")),
    ),
)

DJANGO_SHOP = WebApp(
    folder=_HERE / "django_shop",
    command=("python", "manage.py", "runserver", "--noreload", "{port}"),
    asks=(
        Ask("POST", "/members", {"name": "ada", "password": "analytical"}, status=201),
        Ask("POST", "/members", {"name": "ada", "password": "engine"}, status=409),
        Ask("POST", "/session", {"name": "ada", "password": "analytical"}),
        Ask("POST", "/session", {"name": "ada", "password": "wrong"}, status=403),
        Ask("POST", "/products", {"name": "tea", "price": "2.50", "stock": 5}, status=201),
        Ask("POST", "/checkout", {"buyer": "ada", "product": "tea", "count": 2}, status=201),
        Ask("POST", "/checkout", {"buyer": "ada", "product": "tea", "count": 1}, status=201),
        Ask("POST", "/checkout", {"buyer": "ada", "product": "tea", "count": 9}, status=409),
        Ask("GET", "/products"),
        Ask("GET", "/orders/ada"),
        Ask("GET", "/sales"),
    ),
)

LIBRARY = WebApp(
    folder=_HERE / "fastapi_asyncpg",
    command=("uvicorn", "app:app"),
    asks=(
        Ask("POST", "/books", {"isbn": "978-0-14-143957-6", "copies": 1}, status=201),
        Ask("POST", "/books", {"isbn": "978-0-14-143957-6", "copies": 2}, status=409),
        Ask("POST", "/books", {"isbn": "unknown", "copies": 1}, status=404),
        Ask("POST", "/books", {"isbn": "978-0-06-093546-7", "copies": 2}, status=201),
        Ask("POST", "/loans", {"isbn": "978-0-14-143957-6", "reader": "ada"}, status=201),
        Ask("POST", "/loans", {"isbn": "978-0-14-143957-6", "reader": "grace"}, status=409),
        Ask("POST", "/loans", {"isbn": "978-0-06-093546-7", "reader": "grace"}, status=201),
        Ask("GET", "/loans/ada"),
        Ask("GET", "/books"),
        Ask("GET", "/books.csv"),
    ),
    peers=(Peer("CATALOGUE_URL", ("uvicorn", "catalogue:app")),),
    on_postgres=True,
)

CACHE = WebApp(
    folder=_HERE / "flask_cache",
    command=("flask", "run"),
    asks=(
        Ask("PUT", "/products/tea", {"price": 490}, status=201),
        Ask("GET", "/products/tea"),
        Ask("GET", "/products/tea"),
        Ask("PUT", "/products/tea", {"price": 520}, status=201),
        Ask("GET", "/products/tea"),
        Ask("GET", "/products/cup", status=404),
        Ask("PUT", "/stock/tea", {"left": 1}, status=204),
        Ask("POST", "/orders", {"product": "tea", "buyer": "ada"}, status=201),
        Ask("POST", "/orders", {"product": "tea", "buyer": "bob"}, status=409),
        Ask("GET", "/most-viewed"),
    ),
    peers=(Peer("REDIS_URL", ("redis-server", "--save", "", "--appendonly", "no"), scheme="redis"),),
)
"""Needs a program that is no Python package: Debian's ``redis-server``."""
_WITH_REDIS: tuple[Example, ...] = (CACHE,) if shutil.which("redis-server") else ()

PAYMENTS = Script(
    folder=_HERE / "celery_payments",
    command=("python", "shop.py"),
    peers=(Peer("PAYMENTS_URL", ("flask", "--app", "../flask_checkout/payments", "run")),),
)

CONSUMER = Consumer(folder=_HERE / "kafka_consumer", command=("python", "consumer.py"))

EXAMPLES: tuple[Example, ...] = (
    SHOP,
    BOARD,
    JOB,
    STRICT_JOB,
    CHECKOUT,
    WEBHOOK,
    DJANGO_SHOP,
    PAYMENTS,
    LIBRARY,
    *_WITH_REDIS,
)
DATABASES = (
    "timetracer_example_flask",
    "timetracer_example_async",
    "timetracer_example_motor",
    "timetracer_example_etl",
    "timetracer_example_checkout",
    "timetracer_example_cache",
)
