"""A Django project that asks for content types and its site, by a program that sends it requests: ``kept.py PATH…``."""

from __future__ import annotations

import os
import sys
from io import BytesIO
from urllib.parse import urlsplit
from wsgiref.util import setup_testing_defaults

import django
from django.conf import settings

if not settings.configured:
    AT = urlsplit(os.environ["DATABASE_URL"])
    if AT.scheme == "mysql":
        import pymysql

        pymysql.install_as_MySQLdb()
    settings.configure(
        ALLOWED_HOSTS=["*"],
        DATABASES={
            "default": {
                "ENGINE": f"django.db.backends.{AT.scheme}",
                "NAME": AT.path[1:],
                "HOST": AT.hostname,
                "PORT": AT.port,
                "USER": AT.username,
                "PASSWORD": AT.password,
                "CONN_MAX_AGE": None,
            }
        },
        INSTALLED_APPS=["django.contrib.contenttypes", "django.contrib.sites"],
        ROOT_URLCONF=__name__,
        SECRET_KEY="of the tests",
        SITE_ID=1,
    )
    django.setup()

from django.contrib.contenttypes.models import ContentType
from django.contrib.sites.models import Site
from django.core.handlers.wsgi import WSGIHandler
from django.core.management import call_command
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.urls import path


def known() -> str:
    """Ask what Django keeps."""
    return f"{ContentType.objects.get_for_model(ContentType).model}@{Site.objects.get_current().domain}"


def kind(_request: HttpRequest) -> HttpResponse:
    """Ask outside of any transaction."""
    return HttpResponse(f"{known()};")


def made(_request: HttpRequest) -> HttpResponse:
    """Ask in a transaction that has written, and goes on."""
    with transaction.atomic():
        one = ContentType.objects.create(app_label="made", model="first")
        name = known()
        other = ContentType.objects.create(app_label=name, model="second")
    deleted, _ = ContentType.objects.filter(pk__in=(one.pk, other.pk)).delete()
    return HttpResponse(f"{name} {other.pk - one.pk} {deleted};")


urlpatterns = [path("kind", kind), path("made", made)]

if __name__ == "__main__":
    if sys.argv[1] == "migrate":
        call_command("migrate", verbosity=0)
        sys.exit()
    app = WSGIHandler()
    for word in sys.argv[1:]:
        environ: dict[str, object] = {"PATH_INFO": f"/{word}", "wsgi.input": BytesIO()}
        setup_testing_defaults(environ)
        response = app(environ, lambda *_: None)
        sys.stdout.write(b"".join(response).decode())
        response.close()
