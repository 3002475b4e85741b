"""Settings of the shop. ``DATABASE_URL`` names its database; without it that is a file beside this folder."""

import os
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

_HERE = Path(__file__).resolve().parents[1]
_ENGINES = {"sqlite": "django.db.backends.sqlite3", "postgresql": "django.db.backends.postgresql"}


def _database(url: str) -> dict[str, Any]:
    parts = urlsplit(url)
    given = {"HOST": parts.hostname, "PORT": parts.port, "USER": parts.username, "PASSWORD": parts.password}
    texts = {name: unquote(str(value)) for name, value in given.items() if value}
    return {"ENGINE": _ENGINES[parts.scheme], "NAME": unquote(parts.path[1:]), **texts}


SECRET_KEY = os.environ.get("SECRET_KEY", "only for this example")
ALLOWED_HOSTS = ["127.0.0.1", "localhost"]
DATABASES = {"default": _database(os.environ.get("DATABASE_URL", f"sqlite:///{_HERE / 'shop.sqlite3'}"))}
INSTALLED_APPS = ["django.contrib.auth", "django.contrib.contenttypes", "django.contrib.sessions", "shop"]
MIDDLEWARE = [
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
]
ROOT_URLCONF = "shop.urls"
WSGI_APPLICATION = "shop.wsgi.application"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
USE_TZ = True
