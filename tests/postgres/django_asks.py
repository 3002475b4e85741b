"""What requests of a Django project do, one after the other on a kept connection: ``django_asks.py NUMBER…``."""

from __future__ import annotations

import os
import sys
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.db import close_old_connections, connection


def database() -> dict[str, Any]:
    """Where ``DATABASE_URL`` leads, as Django takes it."""
    url = urlsplit(os.environ["DATABASE_URL"])
    address = {"HOST": url.hostname, "PORT": url.port, "USER": url.username, "PASSWORD": url.password}
    return {"ENGINE": "django.db.backends.postgresql", "NAME": url.path[1:], "CONN_MAX_AGE": None, **address}


def ask(number: int) -> str:
    """Ask the database something, and end as a request does."""
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT %s::int + 1", [number])
            return str(cursor.fetchone())
    except BaseException as error:  # noqa: BLE001 - a miss is no Exception
        return type(error).__name__
    finally:
        close_old_connections()


if __name__ == "__main__":
    settings.configure(DATABASES={"default": database()})
    sys.stdout.write(f"{[ask(int(word)) for word in sys.argv[1:]]}\n")
